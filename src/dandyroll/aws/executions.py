"""Starting the state machine where no event of the object store does, or did."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.cloud import Cloud
from dandyroll.errors import StoreUnavailable
from dandyroll.keys import original_key
from dandyroll.models import Changes, Row
from dandyroll.settings import BadSetting


class Executions:
    """Of the state machine with that ARN. The client is made when it is first needed."""

    def __init__(self, state_machine: str, cloud: Cloud) -> None:
        self._state_machine = state_machine
        self._cloud = cloud

    @cached_property
    def _client(self) -> Any:
        return self._cloud.client("stepfunctions")

    def start(self, row: Row, reason: str = "") -> None:
        """Start one as the event of the image's original would; `reason` as for `start_with`."""
        original = {"key": original_key(row.image_id), "size": row.size_bytes}
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Object Created",
            "source": "dandyroll",
            "detail": {"bucket": {"name": row.bucket}, "object": original},
        }
        self.start_with(event, reason)

    def start_with(self, event: Mapping[str, Any], reason: str = "") -> None:
        """Start one with the event. Raises `StoreUnavailable`.

        Given a `reason`, once for that reason: the execution has its name from it. An express
        machine takes no notice of names, and may be started twice.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if not self._state_machine:
            raise BadSetting("DANDYROLL_STATE_MACHINE: expected an ARN; got none.")
        name = {"name": hashlib.sha256(reason.encode()).hexdigest()} if reason else {}
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine, input=json.dumps(event), **name
            )
        except (BotoCoreError, ClientError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code != "ExecutionAlreadyExists":
                raise StoreUnavailable("The pipeline did not start.", retry_after_s=1) from error


def retry(catalogue: DynamoCatalogue, executions: Executions, row: Row) -> Row:
    """Keeps the promise of `ports.Home.retry`.

    The row comes first, since the execution changes nothing of one that has failed. Where none
    could be started, the row has failed again as before.
    """
    restarted = catalogue.restart(row.image_id)
    try:
        executions.start(row)
    except Exception:
        catalogue.advance(row.image_id, "failed", Changes(error=row.error))
        raise
    return restarted
