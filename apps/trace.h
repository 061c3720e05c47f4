/* `tapglass trace`: reads an event log back and prints it in other forms. */
#ifndef TAPGLASS_APPS_TRACE_H
#define TAPGLASS_APPS_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <json-c/json.h>

/* ---- Reading: trace_read.c ---- */

#define TRACE_RECORD_BYTES 65536u /* longer ones are damage */

struct trace_event {
	double time_ms;
	const char *name; /* "tcp:call" */
	struct json_object *data;
};

/* Fields of an event's data; of those that are missing or of another type "" and 0. */
const char *trace_text(const struct trace_event *e, const char *field);
int64_t trace_number(const struct trace_event *e, const char *field);
bool trace_has(const struct trace_event *e, const char *field);
/* Is a flag of a segment set? */
bool trace_flag(const struct trace_event *e, const char *flag);

enum trace_result {
	TRACE_EVENT,
	TRACE_END,
	TRACE_DAMAGED,   /* a record was skipped */
	TRACE_CUT,       /* the last record ends too early: the file was cut off */
	TRACE_NOT_A_LOG, /* the first record is no header of ours */
};

struct trace_reader {
	FILE *f;
	uint64_t records; /* read so far, the header being the first */
	bool in_record;   /* RS has been read */
	struct json_tokener *tok;
	struct json_object *record; /* what the last event points into */
	char buf[TRACE_RECORD_BYTES];
};

/* False: out of memory. */
bool trace_reader_open(struct trace_reader *r, FILE *f);
void trace_reader_close(struct trace_reader *r);
/* The header; TRACE_EVENT if there is one. */
enum trace_result trace_header(struct trace_reader *r);
enum trace_result trace_next(struct trace_reader *r, struct trace_event *e);

/* ---- Flows: trace_flow.c ---- */

/* Two ends of TCP, by addresses and ports. */
struct trace_flow {
	unsigned number; /* from 1 */
	char peer[64];   /* "192.0.2.1:40612" */
	uint16_t port;   /* ours */
	bool has_in, has_out;
	uint32_t in_isn, out_isn; /* as far as SYNs were seen */
	int64_t frame;            /* of the last segment received; 0: none */
	char state[16];           /* "": not known yet */
	double since_ms;
};

struct trace_flows {
	struct lh_table *table;
	unsigned n;
};

bool trace_flows_open(struct trace_flows *t);
void trace_flows_close(struct trace_flows *t);
/* The flow of a tcp event, made if it is new; NULL: the event has none, or out of memory. Learns
 * initial sequence numbers from SYNs. */
struct trace_flow *trace_flow_of(struct trace_flows *t, const struct trace_event *e);
bool trace_is_segment(const struct trace_event *e); /* received, sent or dropped */
/* A segment in packetdrill's notation, sequence numbers relative where the SYN was seen. */
void trace_segment_text(
	const struct trace_flow *f, const struct trace_event *e, char *buf, size_t n);

/* ---- Forms ---- */

struct trace_form {
	bool (*begin)(void **state); /* false: out of memory */
	void (*event)(void *state, const struct trace_event *e);
	void (*end)(void *state);
};
extern const struct trace_form trace_form_text, trace_form_csv, trace_form_ladder,
	trace_form_perfetto;
/* To standard output, without what could control a terminal. */
void trace_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
