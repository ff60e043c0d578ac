"""Everything that private parts need, from the files that the settings name."""

from dataclasses import dataclass

from prediction_log.input_opening import InputOpener
from prediction_log.key_files import load_opening_keys, load_subject_secret
from prediction_log.master_keys import MasterKeys
from prediction_log.pseudonyms import Pseudonyms
from prediction_log.settings import PrivacySettings
from prediction_log.subject_keys import SubjectKeys


@dataclass(frozen=True, slots=True)
class PrivacyKeys:
    """All of them, or none: then no private part can be opened, found, read or erased."""

    opener: InputOpener | None = None
    pseudonyms: Pseudonyms | None = None
    subject_keys: SubjectKeys | None = None


def load_privacy_keys(settings: PrivacySettings) -> PrivacyKeys:
    """Reads the files.

    Raises:
        OSError: one is not there.
        KeyFileInvalid: one cannot be used.
    """
    if (
        settings.subject_secret_file is None
        or settings.input_sealing_private_key_file is None
        or settings.master_keys_file is None
    ):
        return PrivacyKeys()
    pseudonyms = Pseudonyms(load_subject_secret(settings.subject_secret_file))
    opening_keys = load_opening_keys(settings.input_sealing_private_key_file)
    return PrivacyKeys(
        InputOpener(opening_keys, pseudonyms),
        pseudonyms,
        SubjectKeys(MasterKeys(settings.master_keys_file)),
    )
