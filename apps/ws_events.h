/* The events that viewers read: a ring of texts, made once from the trace for all of them. */
#ifndef TAPGLASS_WS_EVENTS_H
#define TAPGLASS_WS_EVENTS_H

#include "event_json.h"

#define WS_EVENTS 2048u /* in the ring */

struct ws_events;

/* NULL: out of memory. hidden: whether a connection's events are left out: those of the viewers'
 * own connections would make ever more of them. */
struct ws_events *ws_events_new(
	const struct tg *s, uint64_t start_ns, bool (*hidden)(void *arg, uint32_t conn), void *arg);
void ws_events_free(struct ws_events *e);
/* Begins now: what was before is not told. */
void ws_events_start(struct ws_events *e);
/* Is there something to collect? */
bool ws_events_pending(const struct ws_events *e);
/* Takes in what has happened: at most max events, of the rest the number. */
void ws_events_collect(struct ws_events *e, unsigned max);
/* An event that is not in the instance's trace. */
void ws_events_add(struct ws_events *e, const struct tg_trace *t);
/* Number of the next event. */
uint64_t ws_events_end(const struct ws_events *e);
/* The event *cursor, which is moved on; a text about the gap if it is there no longer. NULL: none
 * yet. */
const char *ws_events_next(
	const struct ws_events *e, uint64_t *cursor, char gap[EVENT_JSON_BYTES], size_t *n);

#endif
