"""An event as a line of the Influx line protocol, every field of it."""

import calendar
from datetime import datetime
from typing import Any


def line_of(event: dict[str, Any]) -> str:
    """Type, source and severity as tags, the rest as fields, the time in nanoseconds."""
    data = event["data"]
    moment = datetime.fromisoformat(event["timestamp"])
    time_ns = calendar.timegm(moment.utctimetuple()) * 1_000_000_000 + moment.microsecond * 1000
    fields = (
        f'correlation_id="{event["correlation_id"]}",session_id="{event["session_id"]}",user_id="{event["user_id"]}",'
        f'path="{data["path"]}",method="{data["method"]}",status={data["status"]}i,response_time={data["response_time"]}'
    )
    return f"{event['type']},source={event['source']},severity={event['severity']} {fields} {time_ns}"
