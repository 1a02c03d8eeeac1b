"""What administrators look up."""

from typing import Any

from mirage.activity.v1 import log_pb2
from mirage.auth.v1 import administration_pb2
from mirage.records.base import Field, OptionalField, Record, from_struct, time


class ServiceDeletion(Record[administration_pb2.ServiceDeletion]):
    """How far one service is with the end of an account."""

    service = Field("service", str, "The service, such as `dataset`.")
    state = Field("state", str, "`waiting`, `deleting` or `done`.")
    attempts = Field("attempts", int, "How often it was asked.")
    found = Field("found", int, "How many things it has come upon so far.")
    error = Field("error", str, "Why the last attempt failed; empty if it didn't.")
    update_time = Field("update_time", time, "When that last changed.")

    def __repr__(self) -> str:
        return f"<ServiceDeletion {self.service} {self.state}>"


def _services(services: Any) -> list[ServiceDeletion]:
    return [ServiceDeletion(service) for service in services]


class Deletion(Record[administration_pb2.AccountDeletion]):
    """The end of an account, and of all that was its user's."""

    id = Field("deletion_id", str, "The deletion's id.")
    user_id = Field("user_id", str, "Whose account it was; empty once it is finished.")
    requested_by = Field("requested_by", str, "`owner` or `administrator`.")
    services = Field("services", _services, "How far each service is.")
    create_time = Field("create_time", time, "When the account ended.")
    end_time = OptionalField("end_time", time, "When nothing was left; None before.")

    @property
    def state(self) -> str:
        """`done`, or `deleting` while something may be left."""
        return "deleting" if self.end_time is None else "done"

    def __repr__(self) -> str:
        return f"<Deletion {self.id} {self.state}>"


class LogRecord(Record[log_pb2.LogRecord]):
    """Something that happened on the platform."""

    seq = Field("seq", int, "Its number in the log.")
    kind = Field("kind", str, "What happened, such as `job.approved`.")
    recorded_time = Field("recorded_time", time, "When it came into the log.")
    occurred_time = Field("occurred_time", time, "When it happened, by the clock of the service that told.")
    service = Field("service", str, "The service that told.")
    actor_id = Field("actor_id", str, "Who did it; empty where the platform itself did.")
    actor_role = Field("actor_role", str, "In which role.")
    owner_id = Field("owner_id", str, "Whose object it is.")
    object_type = Field("object_type", str, "What it happened to, such as `job`.")
    object_id = Field("object_id", str, "The object's id.")
    related = Field("related", dict, "Ids of other objects, by what they are.")
    attributes = Field("attributes", from_struct, "Facts that name nobody.")
    personal = Field("personal", from_struct, "Facts that may name somebody.")
    request_id = Field("request_id", str, "The request in which it happened.")

    def __repr__(self) -> str:
        return f"<LogRecord {self.seq} {self.kind} {self.object_type} {self.object_id}>"
