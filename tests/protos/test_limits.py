"""Limits that the contracts name, and what else knows of the same."""

from collections.abc import Iterable, Iterator, Mapping

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.settings import GatewaySettings
from mirage.options.v1.limits_pb2 import Limits
from servicekit import tabular
from servicekit.access import Role
from servicekit.column_types import ColumnRole, ColumnType
from servicekit.downloads import LONGEST_URL_SECONDS
from servicekit.limits import limits_of, words_for
from services.auth.scopes import SCOPES
from services.dataset.exports import ORIGINAL, TABLE
from services.dataset.inputs import LONGEST_NAME
from services.dataset.personal_data.kinds import NONE, Kind
from services.dataset.states import Visibility
from services.generation.requests import OUTPUT_FORMATS
from services.generation.settings import Settings as GenerationSettings
from services.optimizer.settings import Settings as OptimizerSettings
from tests.support import contracts

PEOPLE = sorted({Role.USER, Role.ADMINISTRATOR})
CHOICES: Mapping[str, Iterable[str]] = {
    "mirage.auth.v1.ListUsersRequest.role": PEOPLE,
    "mirage.auth.v1.SetUserRoleRequest.role": PEOPLE,
    "mirage.auth.v1.CreateApiKeyRequest.scopes": SCOPES,
    "mirage.dataset.v1.UploadDatasetRequest.visibility": Visibility,
    "mirage.dataset.v1.ListDatasetsRequest.visibility": Visibility,
    "mirage.dataset.v1.UpdateDatasetRequest.visibility": Visibility,
    "mirage.dataset.v1.ColumnUpdate.type": ColumnType,
    "mirage.dataset.v1.ColumnUpdate.role": ColumnRole,
    "mirage.dataset.v1.ColumnUpdate.personal_data": [*Kind, NONE, ""],
    "mirage.dataset.v1.ExportDatasetRequest.format": tabular.FORMATS,
    "mirage.dataset.v1.GetDatasetDownloadUrlRequest.format": [TABLE, ORIGINAL],
    "mirage.generation.v1.StartJobRequest.output_format": OUTPUT_FORMATS,
    "mirage.generation.v1.DownloadTableRequest.format": [*OUTPUT_FORMATS, "zip"],
}


def _fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    for field in message.fields:
        yield field
        if field.message_type and field.message_type.full_name.startswith("mirage."):
            yield from _fields(field.message_type)


def _limited() -> Iterator[tuple[FieldDescriptor, Limits]]:
    """Every field of a request that has limits."""
    for method in contracts.methods():
        for field in _fields(method.input_type):
            limits = limits_of(field)
            if limits is not None:
                yield field, limits


LIMITED = {field.full_name: (field, limits) for field, limits in _limited()}


@pytest.mark.parametrize(("name", "known"), CHOICES.items())
def test_choices_are_those_that_there_are(name: str, known: Iterable[str]) -> None:
    """What the contract lets choose is what the service has, and all of it."""
    _field, limits = LIMITED[name]
    assert sorted(limits.choices) == sorted(map(str, known))


def test_bounds_are_those_in_force() -> None:
    """Settings that limits name are the gateway's as well, by the same defaults; other bounds are the services'."""
    settings = {name: field.default for name, field in GatewaySettings.model_fields.items()}
    services = {**GenerationSettings.model_fields, **OptimizerSettings.model_fields}
    for field, limits in LIMITED.values():
        for setting, bound in ((limits.minimum_setting, limits.minimum), (limits.maximum_setting, limits.maximum)):
            if setting:
                name = setting.lower()
                assert settings[name] == services[name].default == bound
        if field.name == "expires":
            assert limits.maximum == LONGEST_URL_SECONDS
        if field.full_name == "mirage.dataset.v1.UpdateDatasetRequest.name":
            assert limits.maximum_length == LONGEST_NAME


def test_every_limit_can_be_told() -> None:
    """Every limit has words that say what is right."""
    for field, limits in LIMITED.values():
        of_items = Limits(required=limits.required, maximum_items=limits.maximum_items)
        assert limits == of_items or words_for(field, {}).startswith("must ")
        assert not limits.maximum_items or field.is_repeated
