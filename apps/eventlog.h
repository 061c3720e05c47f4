/* The event log of `up --log`: a header record, then one JSON object for each event, as a JSON text
 * sequence (RFC 7464) in qlog's envelope. apps/tapglass-events.cddl is its schema. Bounded and
 * never waiting: a reader that is too slow and a disk that is full cost events, which are counted
 * (log:gap), and never the stack's time. */
#ifndef TAPGLASS_APPS_EVENTLOG_H
#define TAPGLASS_APPS_EVENTLOG_H

#include "event_json.h"
#include "out.h"
#include "util.h"

#define EVENTLOG_CONNS 256u /* whose calls and measures are remembered */

struct eventlog_conn {
	uint32_t conn; /* 0: free */
	bool measured;
	uint32_t metrics[EVENT_METRIC_COUNT]; /* as last told */
	struct {
		uint32_t n;
		uint64_t bytes;
		struct tg_trace last;
	} calls[2]; /* send and receive, not told yet */
};

struct eventlog {
	bool on, all, own_fd;
	bool stuck; /* this round's flush left something */
	struct out out;
	const struct tg *s;
	uint64_t start_ns;
	uint64_t cursor;
	uint64_t last_ns; /* time of the last event told */
	uint64_t lost;    /* events not told since the last gap */
	uint64_t tick_ns; /* when calls and measures are told; UINT64_MAX: nothing moved */
	uint64_t second;  /* being counted */
	uint32_t in_second;
	struct eventlog_conn conns[EVENTLOG_CONNS];
};

/* What the header says of the run. */
struct eventlog_about {
	const char *instance; /* --name */
	const char *address;  /* of the stack */
};

/* Logs s's trace to a file, or to standard output if it is "json"; all: every segment, call and
 * datagram. 0, or -errno of opening. */
int eventlog_open(struct eventlog *g, const char *file, bool all);
void eventlog_start(struct eventlog *g, const struct tg *s, const struct eventlog_about *about,
	uint64_t start_ns);
/* One record that does not come from the instance's own trace. */
void eventlog_trace(struct eventlog *g, const struct tg_trace *t);
/* After every round: reads the trace, writes out. Returns when to be called again, ns. */
uint64_t eventlog_round(struct eventlog *g, uint64_t now_ns);
/* Tells what is left, waiting at most a second. The events that could not be told at all. */
uint64_t eventlog_close(struct eventlog *g, uint64_t now_ns);

#endif
