/* The events of the stack as text: one JSON object for a trace record. The one schema of the event
 * log, of /api/ws and of what `tapglass trace` reads; apps/tapglass-events.cddl describes it. Pure.
 */
#ifndef TAPGLASS_EVENT_JSON_H
#define TAPGLASS_EVENT_JSON_H

#include "tapglass_inspect.h"

#define EVENT_JSON_BYTES 512u
/* Names the schema in a log's header. */
#define EVENT_SCHEMA "https://tapglass.example/112026/events"

/* {"time":ms,"name":"tcp:state_changed","data":{...}}; time counts from start_ns. Returns the
 * length; 0: the record tells nothing. buf gets a NUL too. */
size_t event_json(const struct tg_trace *t, uint64_t start_ns, char buf[EVENT_JSON_BYTES]);
/* n events are missing here. */
size_t event_json_gap(uint64_t n, uint64_t time_ns, uint64_t start_ns, char buf[EVENT_JSON_BYTES]);
/* Several calls in one: t is the last of them, its len the bytes of all. */
size_t event_json_calls(
	const struct tg_trace *t, uint32_t calls, uint64_t start_ns, char buf[EVENT_JSON_BYTES]);

/* What is told of a connection's measures; times in us, the others in bytes. */
#define EVENT_METRICS(X)                                                                           \
	X(srtt, true)                                                                              \
	X(rttvar, true)                                                                            \
	X(min_rtt, true)                                                                           \
	X(rto, true)                                                                               \
	X(cwnd, false)                                                                             \
	X(ssthresh, false)                                                                         \
	X(inflight, false)                                                                         \
	X(snd_wnd, false)                                                                          \
	X(rcv_wnd, false)
enum event_metric {
#define X(name, is_time) EVENT_METRIC_##name,
	EVENT_METRICS(X)
#undef X
		EVENT_METRIC_COUNT
};

/* Those of v that differ from old (NULL: all of them); 0: none does. t tells connection, addresses
 * and time. */
size_t event_json_metrics(const struct tg_trace *t, const uint32_t v[EVENT_METRIC_COUNT],
	const uint32_t *old, uint64_t start_ns, char buf[EVENT_JSON_BYTES]);

#endif
