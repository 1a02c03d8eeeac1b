"""E-mail by SMTP."""

from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from services.activity.models import Notification
from services.activity.notifying.deliveries import DeliveryFailed, TargetGone

_GONE = range(550, 554)  # no such mailbox, and its like (RFC 5321, section 4.2.2)


class Mailbox(NamedTuple):
    """Where somebody's e-mail goes."""

    email: str
    display_name: str


class AddressBook(Protocol):
    """Knows how people are reached."""

    async def mailbox_of(self, user_id: str) -> Mailbox | None:
        """Somebody's mailbox; None if they are nobody's any more, or switched off.

        Raises:
            Unavailable: nobody knows just now.
        """
        ...


class MailServer(NamedTuple):
    """Who takes e-mail."""

    host: str
    port: int
    security: str  # `starttls`, `tls` or `none`
    username: str
    password: SecretStr | None
    timeout_s: float


class Mail:
    """Sends notifications by e-mail."""

    def __init__(self, server: MailServer, sender: str, sender_name: str, addresses: AddressBook) -> None:
        self._server = server
        self._sender = formataddr((sender_name, sender))
        self._addresses = addresses

    async def deliver(self, notification: Notification, target: str) -> None:
        """Sends a notification to somebody, by their user id.

        Raises:
            TargetGone: the mail server takes nothing for the address.
            DeliveryFailed: it can't be reached, hangs, or refuses for now.
        """
        mailbox = await self._addresses.mailbox_of(target)
        if mailbox is None:
            return
        import aiosmtplib  # which a start needn't wait for

        server = self._server
        try:
            await aiosmtplib.send(
                self._message(notification, mailbox),
                hostname=server.host,
                port=server.port,
                use_tls=server.security == "tls",
                start_tls=server.security == "starttls",
                username=server.username or None,
                password=server.password.get_secret_value() if server.password else None,
                timeout=server.timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refusal.code in _GONE for refusal in error.recipients):
                raise TargetGone("the mail server takes nothing for the address") from error
            raise DeliveryFailed("the mail server refused the address for now") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise DeliveryFailed(f"the mail server can't be used: {type(error).__name__}") from error

    def _message(self, notification: Notification, mailbox: Mailbox) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        # Names of people are theirs to choose: the library refuses what would add a header.
        message["To"] = formataddr((" ".join(mailbox.display_name.split()), mailbox.email))
        message["Subject"] = notification.title
        message["Date"] = formatdate(notification.created_at.timestamp())
        message["Message-ID"] = make_msgid(str(notification.id), domain="mirage.invalid")
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers to it
        message.set_content(
            f"{notification.body}\n\nYou get this because notifications of this kind go to your address. "
            "Switch them off at PUT /notifications/preferences, or by `mirage notifications off KIND --email`.\n"
        )
        return message
