"""What finds personal data in a column's values, a kind or a family of kinds each."""

from services.dataset.personal_data.detectors import addresses, emails, names, national_ids, networks, payments, phones
from services.dataset.personal_data.evidence import Detector

SPARSE: tuple[Detector, ...] = (emails.examine, payments.examine_ibans)
"""Those for which a few values among many are enough; quick where there are none."""

DENSE: tuple[Detector, ...] = (
    payments.examine_cards,
    networks.examine,
    national_ids.examine,
    phones.examine,
    addresses.examine,
    names.examine,
)
