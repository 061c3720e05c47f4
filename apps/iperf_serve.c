/* The server's end of iperf3's control connection: what the client says, and what follows from it.
 */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <stdlib.h>

#define TAIL_NS     (200 * NS_PER_MS)
#define OVERTIME_NS (30 * NS_PER_S)

static void take_params(struct iperf_test *t, uint64_t now_ns)
{
	unsigned error;
	char why[128];

	if (!iperf_params_read(t->ctl.json, t->ctl.json_bytes, &t->p, &error, why)) {
		iperf_test_fail(t, error, now_ns, "%s", why);
		return;
	}
	iperf_test_step(t, IPERF_CREATE_STREAMS, now_ns);
	iperf_ctl_state(&t->ctl, IPERF_CREATE_STREAMS, now_ns);
}

/* A client may be waiting for the rest of a block, with its ears shut to all else. */
static void streams_end(struct iperf_test *t, uint64_t now_ns)
{
	for (unsigned i = 0; i < t->n_streams && !t->p.udp; i++) {
		t->streams[i]->block_left = 0;
		tg_sock_shutdown(t->s, t->streams[i]->conn.sock, TG_SHUT_WR, now_ns);
	}
}

/* The client has seen enough, and so have we. */
static void test_ended(struct iperf_test *t, uint64_t now_ns)
{
	uint64_t end = now_ns;

	if (t->tail_ns != 0) {
		end = t->moved_ns > t->mark_ns ? t->moved_ns : t->mark_ns;
	}
	iperf_test_stop(t, end);
	streams_end(t, now_ns);
	iperf_report_end(t);
	iperf_test_step(t, IPERF_EXCHANGE_RESULTS, now_ns);
	iperf_ctl_state(&t->ctl, IPERF_EXCHANGE_RESULTS, now_ns);
}

/* Of a known number of octets the last may still be on their way. */
static void test_ending(struct iperf_test *t, uint64_t now_ns)
{
	if (t->p.time_s == 0 && (t->p.bytes != 0 || t->p.blocks != 0) &&
		!iperf_test_complete(t, now_ns)) {
		iperf_test_step(t, IPERF_TEST_END, now_ns);
		t->tail_ns = now_ns + TAIL_NS;
		return;
	}
	test_ended(t, now_ns);
}

static void take_results(struct iperf_test *t, uint64_t now_ns)
{
	char why[128], *text = NULL;

	t->theirs = calloc(1, sizeof *t->theirs);
	if (t->theirs == NULL || !iperf_test_results(t)) {
		iperf_test_fail(t, IPERF_E_RESULTS_SEND, now_ns, "out of memory");
		return;
	}
	if (!iperf_results_read(t->ctl.json, t->ctl.json_bytes, t->theirs, why)) {
		iperf_test_fail(t, IPERF_E_RESULTS, now_ns, "%s", why);
		return;
	}
	if (t->p.get_output && t->opt->json) {
		iperf_json_end(t);
		t->mine->output_json = json_object_get(t->report);
	} else if (t->p.get_output) {
		t->mine->output = t->output;
		t->output = NULL;
		t->p.get_output = false;
	}
	text = iperf_results_write(t->mine);
	if (text == NULL || !iperf_ctl_send_json(&t->ctl, text, now_ns)) {
		iperf_test_fail(t, IPERF_E_RESULTS_SEND, now_ns, "out of memory");
	} else {
		iperf_test_step(t, IPERF_DISPLAY_RESULTS, now_ns);
		iperf_ctl_state(&t->ctl, IPERF_DISPLAY_RESULTS, now_ns);
	}
	free(text);
}

static void take_state(struct iperf_test *t, enum iperf_state said, uint64_t now_ns)
{
	if (said == IPERF_CLIENT_TERMINATE) {
		iperf_test_fail(t, IPERF_E_CLIENT_TERM, now_ns, "the client has terminated");
	} else if (said == IPERF_TEST_END && t->state == IPERF_TEST_RUNNING) {
		test_ending(t, now_ns);
	} else if (said == IPERF_DONE && t->state == IPERF_DISPLAY_RESULTS) {
		t->over = true;
	} else {
		iperf_test_fail(t, IPERF_E_MESSAGE, now_ns,
			"the client said %u, which was not its turn", (unsigned)said);
	}
}

static void ctl_broken(struct iperf_test *t, int rc, uint64_t now_ns)
{
	if (t->state == IPERF_DISPLAY_RESULTS && rc == 0) {
		t->over = true; /* it has all it wanted */
	} else if (rc == -TG_EMSGSIZE) {
		iperf_test_fail(t,
			t->state == IPERF_PARAM_EXCHANGE ? IPERF_E_PARAMS : IPERF_E_RESULTS, now_ns,
			"the client announced too long a message");
	} else if (rc == 0) {
		iperf_test_fail(t, IPERF_E_CTRL_CLOSED, now_ns,
			"the client has closed the control connection");
	} else {
		iperf_test_fail(
			t, IPERF_E_CTRL_CLOSED, now_ns, "control connection: %s", errno_text(rc));
	}
}

/* Reads what the client says, one thing at a time. */
static void ctl_round(struct iperf_test *t, uint64_t now_ns)
{
	int rc = 1;

	iperf_ctl_flush(&t->ctl, now_ns);
	while (rc == 1 && !t->failed && !t->over) {
		if (t->state == IPERF_PARAM_EXCHANGE) {
			rc = iperf_ctl_read_json(&t->ctl, IPERF_PARAMS_MAX, now_ns);
			if (rc == 1) {
				take_params(t, now_ns);
			}
		} else if (t->state == IPERF_EXCHANGE_RESULTS) {
			rc = iperf_ctl_read_json(&t->ctl, IPERF_RESULTS_MAX, now_ns);
			if (rc == 1) {
				take_results(t, now_ns);
			}
		} else {
			rc = iperf_ctl_read(&t->ctl, 1, now_ns);
			if (rc == 1) {
				take_state(t, (enum iperf_state)t->ctl.head[0], now_ns);
			}
		}
	}
	if (rc != 1 && rc != -TG_EAGAIN && !t->failed) {
		ctl_broken(t, rc, now_ns);
	}
}

uint64_t iperf_serve(struct iperf_test *t, uint64_t now_ns)
{
	uint64_t end;

	if (t->heard) {
		t->heard = false;
		ctl_round(t, now_ns);
	}
	if (t->state == IPERF_TEST_END &&
		(iperf_test_complete(t, now_ns) || now_ns >= t->tail_ns)) {
		test_ended(t, now_ns);
	}
	if (t->state == IPERF_TEST_END) {
		return t->tail_ns;
	}
	if (t->state != IPERF_TEST_RUNNING || t->p.time_s == 0) {
		return UINT64_MAX;
	}
	end = t->begin_ns + (t->p.omit_s + t->p.time_s) * NS_PER_S + OVERTIME_NS;
	if (now_ns >= end) {
		iperf_test_fail(t, IPERF_E_IDLE, now_ns, "the client does not end the test");
	}
	return end;
}
