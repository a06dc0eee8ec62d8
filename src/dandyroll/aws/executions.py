"""Starting the state machine where no event of the object store does: an image tried again."""

import json
import uuid
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

    def start(self, row: Row) -> None:
        """Start one as the event of the image's original would. Raises `StoreUnavailable`."""
        from botocore.exceptions import BotoCoreError, ClientError

        if not self._state_machine:
            raise BadSetting("DANDYROLL_STATE_MACHINE: expected an ARN; got none.")
        original = {"key": original_key(row.image_id), "size": row.size_bytes}
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Object Created",
            "source": "dandyroll",
            "detail": {"bucket": {"name": row.bucket}, "object": original},
        }
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine, input=json.dumps(event)
            )
        except (BotoCoreError, ClientError) as error:
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
