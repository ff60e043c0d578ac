# Sourced once by PostgreSQL's image, in an empty volume: the role that the service runs as, which
# owns nothing. psql reads its password from the file, so no command line shows it.
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat /run/secrets/postgres-service-password`
CREATE ROLE weir LOGIN PASSWORD :'password';
SQL
