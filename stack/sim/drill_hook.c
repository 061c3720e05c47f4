/* The packet-script engine: who is asked before each event of a run may let it happen, lose a
 * packet or change it, act upon the instance first, or end the run there. */
#include "sim/drill.h"

static enum drill_go ask(struct drill *d, const struct drill_event *e, uint64_t time_ns,
	uint8_t *frame, uint32_t bytes)
{
	const struct drill_moment m = {e, time_ns, frame, bytes};
	enum drill_go go = d->hooks->before(d->hooks->arg, &m);

	if (go == DRILL_STOP)
		d->stopped = d->failed = true;
	return go;
}

bool drill_ask_timer(struct drill *d, uint64_t time_ns)
{
	enum drill_go go = ask(d, NULL, time_ns, NULL, 0);

	return go != DRILL_STOP && go != DRILL_AGAIN;
}

/* Asks at the present time, until nothing is done before it any more. */
static enum drill_go ask_now(
	struct drill *d, const struct drill_event *e, uint8_t *frame, uint32_t bytes)
{
	enum drill_go go;
	uint64_t now_ns;

	do {
		now_ns = d->now_ns;
		go = ask(d, e, now_ns, frame, bytes);
	} while (go == DRILL_AGAIN && drill_advance(d, now_ns, NULL, 0));
	return go;
}

bool drill_ask_line(struct drill *d, const struct drill_event *e)
{
	ask_now(d, e, NULL, 0);
	return !d->failed;
}

enum drill_go drill_ask_packet(struct drill *d, const struct drill_event *e, uint32_t n)
{
	enum drill_go go = ask_now(d, e, d->hooks->hold, n);

	memcpy(d->frame, d->hooks->hold, n);
	return go;
}
