"""Who may say on whose behalf it calls: an edge that verified the caller itself."""

from dataclasses import dataclass

from servicekit.grpc_call_shapes import Context
from servicekit.request_context import Principal

DELEGATE_SCOPE = "delegate"


@dataclass(frozen=True, slots=True)
class Delegates:
    """Who may say on whose behalf it calls, given the scope for it.

    Attributes:
        client_id: the one client.
        certificate_name: DNS name or URI that its certificate must hold; empty looks at none.
    """

    client_id: str
    certificate_name: str = ""

    def include(self, caller: Principal, context: Context) -> bool:
        """Whether the caller of this call is one."""
        if caller.client_id != self.client_id:
            return False
        if not self.certificate_name:
            return True
        names = context.auth_context().get("x509_subject_alternative_name", ())
        return self.certificate_name.encode() in names
