/* The live log: a line for each meaningful event, from trace records. Bounded in lines per second
 * and never waiting for its reader, so that a flood of events or a stopped terminal does not hold
 * up the stack. */
#ifndef TAPGLASS_APPS_LIVELOG_H
#define TAPGLASS_APPS_LIVELOG_H

#include "http_server.h"
#include "options.h"
#include "out.h"
#include "tapglass_inspect.h"

#define LIVELOG_FLOWS      256u /* remembered, to tell first datagrams */
#define LIVELOG_HANDSHAKES 256u

struct livelog_flow {
	uint8_t raddr[16];
	uint16_t lport, rport;
};

struct livelog {
	struct out out;
	bool on, color;
	unsigned verbose;
	uint64_t start_ns;
	const struct tg *s; /* whose trace is read */
	uint64_t cursor;
	char self[16]; /* our address */
	char mac[18];
	uint64_t second; /* being counted */
	uint32_t lines, lines_max;
	uint64_t held_back;      /* lines of this second that were not shown */
	struct tg_trace last_in; /* the segment that what follows is about */
	struct livelog_flow flows[LIVELOG_FLOWS];
	struct {
		uint32_t conn;
		uint64_t since_ns;
	} handshakes[LIVELOG_HANDSHAKES];
};

/* Logs the trace of s to standard output as the options say. */
void livelog_open(struct livelog *g, const struct options *o, const struct tg *s,
	const struct tg_ip *self, const uint8_t mac[6], uint64_t now_ns);
/* One record that does not come from the instance's own trace. */
void livelog_trace(struct livelog *g, const struct tg_trace *t);
/* Would a line be shown now? */
bool livelog_wants(struct livelog *g, uint64_t now_ns);
void livelog_http(struct livelog *g, const struct http_access *a, uint64_t now_ns);
/* A line as it is, without time. */
void livelog_text(struct livelog *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* After every round: reads the trace, writes out. Returns when to be called again, ns. */
uint64_t livelog_round(struct livelog *g, uint64_t now_ns);
void livelog_close(struct livelog *g);

#endif
