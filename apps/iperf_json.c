/* What iperf3 says on its control connection: what is to be done, and what came of it. All of it is
 * checked before it is believed: types, ranges, lengths, the depth of the JSON, numbers that are
 * none. Left out: authentication (authtoken), flow labels, SCTP. */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 16

/* ---- Reading --------------------------------------------------------------------------------- */

/* An object and nothing behind it; NULL: it is not. */
static struct json_object *parse(const char *text, size_t n)
{
	struct json_tokener *k = json_tokener_new_ex(JSON_DEPTH);
	struct json_object *o;

	if (k == NULL) {
		return NULL;
	}
	json_tokener_set_flags(k, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = n < INT32_MAX ? json_tokener_parse_ex(k, text, (int)n) : NULL;
	if (json_tokener_get_error(k) != json_tokener_success ||
		!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(k);
	return o;
}

/* A member that is a number; false: there is none (*bad is set if it is no number). */
static bool number(struct json_object *o, const char *name, double *out, bool *bad)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v)) {
		return false;
	}
	if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double)) {
		*bad = true;
		return false;
	}
	*out = json_object_get_double(v);
	*bad = *bad || !isfinite(*out);
	return true;
}

/* 0 to max, whole; what lies outside is bad. */
static uint64_t whole(
	struct json_object *o, const char *name, uint64_t max, uint64_t absent, bool *bad)
{
	double v;

	if (!number(o, name, &v, bad)) {
		return absent;
	}
	if (!(v >= 0 && v <= (double)max)) {
		*bad = true;
		return absent;
	}
	return (uint64_t)v;
}

static uint32_t small(
	struct json_object *o, const char *name, uint32_t max, uint32_t absent, bool *bad)
{
	return (uint32_t)whole(o, name, max, absent, bad);
}

/* Some say true, some 1. */
static bool flag(struct json_object *o, const char *name, bool *bad)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v)) {
		return false;
	}
	if (!json_object_is_type(v, json_type_boolean) && !json_object_is_type(v, json_type_int)) {
		*bad = true;
	}
	return json_object_get_boolean(v);
}

/* What a terminal would act upon is not for printing. */
static void clean(char *text, bool lines)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < ' ' && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f) {
			*text = '?';
		}
	}
}

static void words(struct json_object *o, const char *name, char *out, size_t room, bool *bad)
{
	struct json_object *v;

	out[0] = '\0';
	if (!json_object_object_get_ex(o, name, &v)) {
		return;
	}
	if (!json_object_is_type(v, json_type_string) ||
		(size_t)json_object_get_string_len(v) >= room) {
		*bad = true;
		return;
	}
	snprintf(out, room, "%s", json_object_get_string(v));
	clean(out, false);
}

static void params_take(struct json_object *o, struct iperf_params *p, bool *bad)
{
	const uint32_t block_max = p->udp ? IPERF_UDP_BLOCK_MAX : IPERF_TCP_BLOCK_MAX;

	p->omit_s = small(o, "omit", IPERF_OMIT_MAX_S, 0, bad);
	p->time_s = small(o, "time", IPERF_TIME_MAX_S, 0, bad);
	p->bytes = whole(o, "num", INT64_MAX / 2, 0, bad);
	p->blocks = whole(o, "blockcount", INT64_MAX / 2, 0, bad);
	p->parallel = small(o, "parallel", IPERF_PARALLEL_MAX, 1, bad);
	p->block_bytes =
		small(o, "len", block_max, p->udp ? IPERF_UDP_BLOCK : IPERF_TCP_BLOCK, bad);
	p->window_bytes = small(o, "window", INT32_MAX, 0, bad);
	p->mss = small(o, "MSS", UINT16_MAX, 0, bad);
	p->tos = small(o, "TOS", 255, 0, bad);
	p->burst_blocks = small(o, "burst", 1000, 0, bad);
	p->pacing_us = small(o, "pacing_timer", 1000000, 1000, bad);
	p->rate_bps = whole(o, "bandwidth", UINT64_C(1) << 50, 0, bad);
	p->reverse = flag(o, "reverse", bad);
	p->bidir = flag(o, "bidirectional", bad);
	p->nodelay = flag(o, "nodelay", bad);
	p->udp_64bit = flag(o, "udp_counters_64bit", bad);
	p->get_output = flag(o, "get_server_output", bad);
	words(o, "congestion", p->congestion, sizeof p->congestion, bad);
	words(o, "title", p->title, sizeof p->title, bad);
	words(o, "extra_data", p->extra, sizeof p->extra, bad);
	words(o, "client_version", p->version, sizeof p->version, bad);
	*bad = *bad || p->parallel == 0 || p->block_bytes == 0 || (p->reverse && p->bidir) ||
	       (p->udp && p->block_bytes < 16);
}

bool iperf_params_read(
	const char *text, size_t n, struct iperf_params *p, unsigned *error, char why[128])
{
	struct json_object *o = parse(text, n);
	bool bad = false, tcp;
	unsigned cc = 0;

	memset(p, 0, sizeof *p);
	*error = IPERF_E_PARAMS;
	if (o == NULL) {
		snprintf(why, 128, "the parameters are not JSON");
		return false;
	}
	tcp = flag(o, "tcp", &bad);
	p->udp = flag(o, "udp", &bad);
	if (tcp == p->udp) {
		snprintf(why, 128, "the protocol asked for is neither TCP nor UDP");
		json_object_put(o);
		return false;
	}
	params_take(o, p, &bad);
	json_object_put(o);
	if (bad) {
		snprintf(why, 128, "the parameters are out of range");
		return false;
	}
	while (tg_cc_name(cc) != NULL && strcmp(tg_cc_name(cc), p->congestion) != 0) {
		cc++;
	}
	if (p->congestion[0] != '\0' && tg_cc_name(cc) == NULL) {
		*error = IPERF_E_CONGESTION;
		snprintf(why, 128, "there is no congestion control \"%s\" here", p->congestion);
		return false;
	}
	return true;
}

static bool stream_read(struct json_object *o, struct iperf_stream_result *r)
{
	bool bad = false, has_id;
	double v = 0;

	memset(r, 0, sizeof *r);
	has_id = number(o, "id", &v, &bad) && v >= 1 && v <= 4 * IPERF_STREAMS_MAX;
	r->id = has_id ? (int64_t)v : 0;
	r->bytes = whole(o, "bytes", INT64_MAX / 2, 0, &bad);
	r->packets = whole(o, "packets", INT64_MAX / 2, 0, &bad);
	/* more may come twice than were lost */
	r->lost = number(o, "errors", &v, &bad) && v > 0 && v < 1e18 ? (uint64_t)v : 0;
	/* -1, which some write as a number without a sign */
	r->retransmits = number(o, "retransmits", &v, &bad) && v >= 0 && v < 1e18 ? (int64_t)v : -1;
	number(o, "jitter", &r->jitter_s, &bad);
	number(o, "start_time", &r->start_s, &bad);
	number(o, "end_time", &r->end_s, &bad);
	return has_id && !bad;
}

static bool streams_read(struct json_object *o, struct iperf_results *r)
{
	struct json_object *list;
	size_t n;

	if (!json_object_object_get_ex(o, "streams", &list) ||
		!json_object_is_type(list, json_type_array)) {
		return false;
	}
	n = json_object_array_length(list);
	if (n > IPERF_STREAMS_MAX) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		if (!json_object_is_type(one, json_type_object) ||
			!stream_read(one, &r->stream[i])) {
			return false;
		}
	}
	r->n = (unsigned)n;
	return true;
}

bool iperf_results_read(const char *text, size_t n, struct iperf_results *r, char why[128])
{
	struct json_object *o = parse(text, n), *v;
	bool bad = false, good;
	double has = -1;

	memset(r, 0, sizeof *r);
	if (o == NULL) {
		snprintf(why, 128, "the results are not JSON");
		return false;
	}
	number(o, "cpu_util_total", &r->cpu_total, &bad);
	number(o, "cpu_util_user", &r->cpu_user, &bad);
	number(o, "cpu_util_system", &r->cpu_system, &bad);
	number(o, "sender_has_retransmits", &has, &bad);
	r->has_retransmits = has == 0 ? 0 : has == 1 ? 1 : -1;
	words(o, "congestion_used", r->congestion, sizeof r->congestion, &bad);
	if (json_object_object_get_ex(o, "server_output_text", &v) &&
		json_object_is_type(v, json_type_string)) {
		r->output = strdup(json_object_get_string(v));
		if (r->output != NULL) {
			clean(r->output, true);
		}
	} else if (json_object_object_get_ex(o, "server_output_json", &v)) {
		r->output_json = json_object_get(v);
	}
	good = streams_read(o, r) && !bad;
	json_object_put(o);
	if (!good) {
		snprintf(why, 128, "the results are malformed");
	}
	return good;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void add_int(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)v));
}

static void add_if(struct json_object *o, const char *name, uint64_t v)
{
	if (v != 0) {
		add_int(o, name, v);
	}
}

static void add_flag(struct json_object *o, const char *name, bool v)
{
	if (v) {
		json_object_object_add(o, name, json_object_new_boolean(true));
	}
}

static void add_words(struct json_object *o, const char *name, const char *v)
{
	if (v[0] != '\0') {
		json_object_object_add(o, name, json_object_new_string(v));
	}
}

/* The text of an object, which goes. */
static char *text_of(struct json_object *o)
{
	const char *text =
		o != NULL ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : NULL;
	char *copy = text != NULL ? strdup(text) : NULL;

	json_object_put(o);
	return copy;
}

char *iperf_params_write(const struct iperf_params *p)
{
	struct json_object *o = json_object_new_object();

	if (o == NULL) {
		return NULL;
	}
	add_flag(o, p->udp ? "udp" : "tcp", true);
	add_int(o, "omit", p->omit_s);
	add_int(o, "time", p->time_s);
	add_int(o, "num", p->bytes);
	add_int(o, "blockcount", p->blocks);
	add_if(o, "MSS", p->mss);
	add_flag(o, "nodelay", p->nodelay);
	add_int(o, "parallel", p->parallel);
	add_flag(o, "reverse", p->reverse);
	add_flag(o, "bidirectional", p->bidir);
	add_if(o, "window", p->window_bytes);
	add_int(o, "len", p->block_bytes);
	add_if(o, "bandwidth", p->rate_bps);
	add_int(o, "pacing_timer", p->pacing_us);
	add_if(o, "burst", p->burst_blocks);
	add_if(o, "TOS", p->tos);
	add_words(o, "title", p->title);
	add_words(o, "extra_data", p->extra);
	add_words(o, "congestion", p->congestion);
	if (p->get_output) {
		add_int(o, "get_server_output", 1);
	}
	if (p->udp_64bit) {
		add_int(o, "udp_counters_64bit", 1);
	}
	add_words(o, "client_version", p->version);
	return text_of(o);
}

static void add_double(struct json_object *o, const char *name, double v)
{
	json_object_object_add(o, name, json_object_new_double(v));
}

static struct json_object *stream_write(const struct iperf_stream_result *r)
{
	struct json_object *o = json_object_new_object();

	if (o != NULL) {
		add_int(o, "id", (uint64_t)r->id);
		add_int(o, "bytes", r->bytes);
		json_object_object_add(o, "retransmits", json_object_new_int64(r->retransmits));
		add_double(o, "jitter", r->jitter_s);
		add_int(o, "errors", r->lost);
		add_int(o, "packets", r->packets);
		add_double(o, "start_time", r->start_s);
		add_double(o, "end_time", r->end_s);
	}
	return o;
}

char *iperf_results_write(struct iperf_results *r)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	if (o == NULL || list == NULL) {
		json_object_put(o);
		json_object_put(list);
		return NULL;
	}
	add_double(o, "cpu_util_total", r->cpu_total);
	add_double(o, "cpu_util_user", r->cpu_user);
	add_double(o, "cpu_util_system", r->cpu_system);
	json_object_object_add(
		o, "sender_has_retransmits", json_object_new_int64(r->has_retransmits));
	add_words(o, "congestion_used", r->congestion);
	if (r->output_json != NULL) {
		json_object_object_add(o, "server_output_json", r->output_json);
		r->output_json = NULL;
	} else if (r->output != NULL) {
		add_words(o, "server_output_text", r->output);
	}
	for (unsigned i = 0; i < r->n; i++) {
		json_object_array_add(list, stream_write(&r->stream[i]));
	}
	json_object_object_add(o, "streams", list);
	return text_of(o);
}

void iperf_results_free(struct iperf_results *r)
{
	if (r != NULL) {
		free(r->output);
		json_object_put(r->output_json);
		r->output = NULL;
		r->output_json = NULL;
	}
}

/* ---- Errors ---------------------------------------------------------------------------------- */

const char *iperf_error_text(unsigned error)
{
	static const struct {
		unsigned error;
		const char *text;
	} known[] = {
		{IPERF_E_COOKIE, "it could not receive the cookie"},
		{IPERF_E_CTRL_CLOSED, "the control connection was closed"},
		{IPERF_E_MESSAGE, "it received an unknown control message"},
		{IPERF_E_PARAMS, "it did not accept the parameters"},
		{IPERF_E_RESULTS_SEND, "it could not send its results"},
		{IPERF_E_RESULTS, "it did not accept the results"},
		{IPERF_E_CLIENT_TERM, "the client has terminated"},
		{IPERF_E_SERVER_TERM, "the server has terminated"},
		{122, "it could not set NODELAY"},
		{123, "it could not set the MSS"},
		{124, "it could not set the size of the buffers"},
		{125, "it could not set the type of service"},
		{IPERF_E_CONGESTION, "it has no such congestion control"},
		{142, "authorization is needed"},
		{IPERF_E_IDLE, "nothing came for too long"},
		{IPERF_E_STREAM, "it could not make a stream"},
		{IPERF_E_ACCEPT, "it could not accept a stream"},
		{IPERF_E_WRITE, "it could not write to a stream"},
		{IPERF_E_READ, "it could not read from a stream"},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (known[i].error == error) {
			return known[i].text;
		}
	}
	return NULL;
}
