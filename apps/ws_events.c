/* The events that viewers read: see the header. Memory is fixed; a viewer that is too slow, like a
 * trace that is overwritten before it is read, costs events and never time. */
#include "ws_events.h"

#include <stdlib.h>

struct event {
	uint64_t time_ns;
	size_t n;
	char text[EVENT_JSON_BYTES];
};

struct ws_events {
	const struct tg *s;
	uint64_t start_ns;
	bool (*hidden)(void *arg, uint32_t conn);
	void *arg;
	uint64_t trace; /* cursor */
	uint64_t end;   /* number of the next event */
	struct event ring[WS_EVENTS];
};

struct ws_events *ws_events_new(
	const struct tg *s, uint64_t start_ns, bool (*hidden)(void *arg, uint32_t conn), void *arg)
{
	struct ws_events *e = calloc(1, sizeof *e);

	if (e != NULL) {
		e->s = s;
		e->start_ns = start_ns;
		e->hidden = hidden;
		e->arg = arg;
	}
	return e;
}

void ws_events_free(struct ws_events *e)
{
	free(e);
}

void ws_events_start(struct ws_events *e)
{
	struct tg_trace t;

	while (tg_trace_next(e->s, &e->trace, &t, NULL)) {
	}
}

bool ws_events_pending(const struct ws_events *e)
{
	uint64_t cursor = e->trace;
	struct tg_trace t;

	return tg_trace_next(e->s, &cursor, &t, NULL);
}

static struct event *slot(struct ws_events *e)
{
	return &e->ring[e->end % WS_EVENTS];
}

void ws_events_add(struct ws_events *e, const struct tg_trace *t)
{
	struct event *v = slot(e);

	v->time_ns = t->time_ns;
	v->n = event_json(t, e->start_ns, v->text);
	e->end += v->n > 0;
}

void ws_events_collect(struct ws_events *e, unsigned max)
{
	uint64_t lost = 0, left_out = 0;
	struct tg_trace t = {0};

	/* nothing is traced while this runs: it ends */
	while (tg_trace_next(e->s, &e->trace, &t, &lost)) {
		if (t.conn != 0 && e->hidden(e->arg, t.conn)) {
			continue;
		}
		if (max > 0) {
			ws_events_add(e, &t);
			max--;
		} else {
			left_out++;
		}
	}
	if (lost + left_out > 0) {
		struct event *v = slot(e);

		v->time_ns = t.time_ns;
		v->n = event_json_gap(lost + left_out, v->time_ns, e->start_ns, v->text);
		e->end++;
	}
}

uint64_t ws_events_end(const struct ws_events *e)
{
	return e->end;
}

const char *ws_events_next(
	const struct ws_events *e, uint64_t *cursor, char gap[EVENT_JSON_BYTES], size_t *n)
{
	const struct event *v;

	if (*cursor == e->end) {
		return NULL;
	}
	if (e->end - *cursor > WS_EVENTS) {
		uint64_t missing = e->end - WS_EVENTS - *cursor;

		*cursor += missing;
		v = &e->ring[*cursor % WS_EVENTS];
		*n = event_json_gap(missing, v->time_ns, e->start_ns, gap);
		return gap;
	}
	v = &e->ring[(*cursor)++ % WS_EVENTS];
	*n = v->n;
	return v->text;
}
