/* The events of the stack as text: one JSON object for a trace record, named as in qlog. Pure. */
#ifndef TAPGLASS_WS_JSON_H
#define TAPGLASS_WS_JSON_H

#include "tapglass_inspect.h"

#define WS_EVENT_BYTES 512u

/* {"time":ms,"name":"tcp:state_changed","data":{...}}; time counts from start_ns. Returns the
 * length; 0: the record tells nothing. buf gets a NUL too. */
size_t ws_json_event(const struct tg_trace *t, uint64_t start_ns, char buf[WS_EVENT_BYTES]);
/* n events are missing here. */
size_t ws_json_gap(uint64_t n, char buf[WS_EVENT_BYTES]);

#endif
