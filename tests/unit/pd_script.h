/* What the two files share that play scripts. */
#ifndef TG_PD_SCRIPT_H
#define TG_PD_SCRIPT_H

#include "pd_host.h"

#define ARGS_MAX     8
#define TOLERANCE_US 1000

struct call {
	struct script *s;
	char name[24], arg[ARGS_MAX][96];
	unsigned n_args;
	long result;
	bool any_result;
	int error;
	bool bad; /* an argument is not understood */
};

struct script {
	struct pd_host h;
	enum pd_verdict verdict;
	char *why;
	size_t why_bytes;
	unsigned line;
	int fd[64]; /* the script's numbers */
	uint16_t lport, rport;
	uint32_t iss, ts_off, peer_next;
	bool learned, ts_learned, isn_seen;
	long long last_us; /* what relative times count from */
	long long from_us, to_us;
	bool any_time, range, blocking;
	struct call pending;
	long long pending_end_us;
	bool is_pending;
};

/* The first verdict counts; false. */
bool script_stop(struct script *s, enum pd_verdict v, const char *why);
/* pd_call.c: a call's line behind its time; the end of one that blocks. */
bool script_call(struct script *s, char *text);
bool script_end_pending(struct script *s);

#endif
