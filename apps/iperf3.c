/* `tapglass iperf3`: throughput tests against iperf3 or another Tapglass, as server or client, on
 * the running stack or one of its own; flags as iperf3 has them. Left out: names (addresses only),
 * IPv6, SCTP, authentication, files (-F), CPU affinity (-A), daemons (-D). */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "iperf.h"
#include "verbs.h"

struct iperf3 {
	struct options common;
	struct iperf_opt opt;
	struct iperf_client_opt client;
	bool is_server, is_client, has_rate, has_time;
	const char *host;
	uint16_t port;
	struct job *job;
	struct services services;
	struct iperf_sink sink;
	struct iperf_server *server;
	struct iperf_client *run;
};

enum {
	O_BIDIR = 128, /* those without a letter; 1 to 127 are letters */
	O_GET_OUTPUT,
	O_64BIT,
	O_CONNECT_MS,
	O_IDLE_MS,
	O_PACING,
	O_EXTRA,
	O_BANDWIDTH,
};

static const struct option_spec iperf3_options[] = {
	{"server", 's', 's', NULL, "serve tests"},
	{"client", 'c', 'c', "HOST", "run a test with this server"},
	{"port", 'p', 'p', "PORT", "of the server (5201)"},
	{"one-off", '1', '1', NULL, "server: end after one test"},
	{"interval", 'i', 'i', "SEC", "between reports (1; 0: none)"},
	{"json", 'J', 'J', NULL, "report as JSON"},
	{"format", 'f', 'f', "UNIT", "of rates: k m g t bits, K M G T bytes"},
	{"verbose", 'V', 'V', NULL, "say more"},
	{"rcv-timeout", 0, O_IDLE_MS, "MS", "give up when nothing has moved for so long (120000)"},
	{"udp", 'u', 'u', NULL, "client: UDP"},
	{"bitrate", 'b', 'b', "N[KMG][/N]",
		"bits a second of each stream (UDP 1M; 0: no limit); blocks in a burst"},
	{"bandwidth", 0, O_BANDWIDTH, "N[KMG][/N]", "the same"},
	{"time", 't', 't', "SEC", "to send for (10)"},
	{"bytes", 'n', 'n', "N[KMG]", "to send instead"},
	{"blockcount", 'k', 'k', "N[KMG]", "blocks to send instead"},
	{"length", 'l', 'l', "N[KMG]", "of a block (TCP 128K, UDP what fits a packet)"},
	{"parallel", 'P', 'P', "N", "streams at once (1; at most 128)"},
	{"reverse", 'R', 'R', NULL, "the server sends"},
	{"bidir", 0, O_BIDIR, NULL, "both send"},
	{"window", 'w', 'w', "N[KMG]", "size of the buffers"},
	{"congestion", 'C', 'C', "CC", "congestion control"},
	{"set-mss", 'M', 'M', "N", "maximum segment size"},
	{"no-delay", 'N', 'N', NULL, "without Nagle's algorithm"},
	{"tos", 'S', 'S', "N", "type of service, 0 to 255"},
	{"omit", 'O', 'O', "SEC", "leave the first seconds out of all figures"},
	{"title", 'T', 'T', "TEXT", "begins each line"},
	{"extra-data", 0, O_EXTRA, "TEXT", "for the JSON of both"},
	{"get-server-output", 0, O_GET_OUTPUT, NULL, "print the server's report too"},
	{"udp-counters-64bit", 0, O_64BIT, NULL, "number datagrams with 64 bits"},
	{"connect-timeout", 0, O_CONNECT_MS, "MS", "give up connecting after so long"},
	{"pacing-timer", 0, O_PACING, "US", "how often --bitrate is looked at (1000)"},
	{NULL, 0, 0, NULL, NULL},
};

/* ---- Parsing --------------------------------------------------------------------------------- */

/* "10M": K, M, G, T are powers of unit. */
static bool parse_amount(const char *text, uint64_t unit, uint64_t max, uint64_t *out)
{
	static const char units[] = "kmgt";
	size_t n = strlen(text);
	const char *u = n > 1 ? strchr(units, text[n - 1] | 0x20) : NULL;
	char digits[24];
	double v, factor = 1;
	char *end;

	n -= u != NULL;
	if (n == 0 || n >= sizeof digits || strspn(text, "0123456789.") < n) {
		return false;
	}
	memcpy(digits, text, n);
	digits[n] = '\0';
	for (long i = u != NULL ? u - units + 1 : 0; i > 0; i--) {
		factor *= (double)unit;
	}
	v = strtod(digits, &end) * factor;
	*out = v <= (double)max ? (uint64_t)v : 0;
	return *end == '\0' && v <= (double)max;
}

static int amount(const char *option, const char *arg, uint64_t min, uint64_t max, uint64_t *out)
{
	if (!parse_amount(arg, 1024, max, out) || *out < min) {
		return usage_error("%s %s: not a number from %llu to %llu (K, M and G may follow)",
			option, arg, (unsigned long long)min, (unsigned long long)max);
	}
	return 0;
}

static int small(const char *option, const char *arg, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t v;
	int rc = amount(option, arg, min, max, &v);

	*out = rc == 0 ? (uint32_t)v : *out;
	return rc;
}

static int text(const char *option, const char *arg, char *out, size_t room)
{
	if (strlen(arg) >= room) {
		return usage_error("%s: longer than %zu characters", option, room - 1);
	}
	strcpy(out, arg);
	return 0;
}

static int set_rate(struct iperf3 *c, const char *arg)
{
	struct iperf_params *p = &c->client.p;
	const char *slash = strchr(arg, '/');
	char rate[24] = "";

	c->has_rate = true;
	if (slash == NULL) {
		slash = arg + strlen(arg);
	}
	if ((size_t)(slash - arg) < sizeof rate) {
		memcpy(rate, arg, (size_t)(slash - arg));
	}
	if (!parse_amount(rate, 1000, UINT64_C(1) << 50, &p->rate_bps)) {
		return usage_error("-b %s: not a rate like 10M or 1G/20", arg);
	}
	return *slash == '/' ? small("-b", slash + 1, 1, 1000, &p->burst_blocks) : 0;
}

static int set_congestion(struct iperf_params *p, const char *arg)
{
	unsigned cc = 0;

	while (tg_cc_name(cc) != NULL && strcmp(tg_cc_name(cc), arg) != 0) {
		cc++;
	}
	if (tg_cc_name(cc) == NULL) {
		return usage_error("-C %s: not one of cubic, reno", arg);
	}
	return text("-C", arg, p->congestion, sizeof p->congestion);
}

/* What both roles know. */
static int set_any(struct iperf3 *c, int value, const char *arg)
{
	uint64_t n;
	int rc;

	switch (value) {
	case 's': c->is_server = true; return 0;
	case '1': c->opt.one_off = true; return 0;
	case 'J': c->opt.json = true; return 0;
	case 'V': c->opt.verbose = true; return 0;
	case 'c':
		c->is_client = true;
		c->host = arg;
		return 0;
	case 'p':
		rc = parse_u64(arg, 1, 65535, &n)
			     ? 0
			     : usage_error("-p %s: not a port, 1 to 65535", arg);
		c->port = rc == 0 ? (uint16_t)n : 0;
		return rc;
	case 'i':
		if (!parse_seconds(arg, 3600, &c->opt.interval_ns) ||
			(c->opt.interval_ns != 0 && c->opt.interval_ns < NS_PER_S / 10)) {
			return usage_error("-i %s: not 0, nor 0.1 to 3600 seconds", arg);
		}
		return 0;
	case 'f':
		if (strlen(arg) != 1 || strchr("kmgtKMGT", arg[0]) == NULL) {
			return usage_error("-f %s: not one of k m g t K M G T", arg);
		}
		c->opt.unit = arg[0];
		return 0;
	default:
		rc = amount("--rcv-timeout", arg, 100, 86400000, &n);
		c->opt.idle_ns = n * NS_PER_MS;
		return rc;
	}
}

static int set_client(struct iperf3 *c, int value, const char *arg)
{
	struct iperf_params *p = &c->client.p;
	uint64_t n = 0;
	int rc;

	switch (value) {
	case 'u': p->udp = true; return 0;
	case 'R': p->reverse = true; return 0;
	case 'N': p->nodelay = true; return 0;
	case O_BIDIR: p->bidir = true; return 0;
	case O_GET_OUTPUT: p->get_output = true; return 0;
	case O_64BIT: p->udp_64bit = true; return 0;
	case 'b':
	case O_BANDWIDTH: return set_rate(c, arg);
	case 't': c->has_time = true; return small("-t", arg, 0, IPERF_TIME_MAX_S, &p->time_s);
	case 'n': return amount("-n", arg, 1, INT64_MAX / 4, &p->bytes);
	case 'k': return amount("-k", arg, 1, INT64_MAX / 4, &p->blocks);
	case 'l': return small("-l", arg, 1, IPERF_TCP_BLOCK_MAX, &p->block_bytes);
	case 'P': return small("-P", arg, 1, IPERF_PARALLEL_MAX, &p->parallel);
	case 'w': return small("-w", arg, 1, INT32_MAX, &p->window_bytes);
	case 'C': return set_congestion(p, arg);
	case 'M': return small("-M", arg, 88, 65495, &p->mss);
	case 'S':
		n = strtoul(arg, NULL, 0); /* 0x10 and 020 as well */
		p->tos = (uint32_t)(n & 255);
		return n < 256 && arg[0] >= '0' && arg[0] <= '9'
			       ? 0
			       : usage_error("-S %s: not 0 to 255", arg);
	case 'O': return small("-O", arg, 0, IPERF_OMIT_MAX_S, &p->omit_s);
	case 'T': return text("-T", arg, p->title, sizeof p->title);
	case O_EXTRA: return text("--extra-data", arg, p->extra, sizeof p->extra);
	case O_PACING: return small("--pacing-timer", arg, 1, 1000000, &p->pacing_us);
	default:
		rc = amount("--connect-timeout", arg, 1, 3600000, &n);
		c->client.connect_ns = n * NS_PER_MS;
		return rc;
	}
}

static int iperf3_set(void *ctx, int value, const char *arg)
{
	static const char both[] = "s1JVcpif";

	return value == O_IDLE_MS || (value < 128 && strchr(both, value) != NULL)
		       ? set_any(ctx, value, arg)
		       : set_client(ctx, value, arg);
}

const struct verb_spec iperf3_spec = {
	.usage = "iperf3 -s [OPTION]...\n       tapglass iperf3 -c HOST [OPTION]...",
	.about = "Measures throughput as iperf3 does, and with any iperf3 as the other end: from "
		 "the running stack, or,\n"
		 "if there is none or options of a link are given, from one of its own.",
	.example = "  tapglass iperf3 -s                            then: iperf3 -c 192.0.2.2\n"
		   "  tapglass iperf3 -c 192.0.2.1 -R -P 4 -t 5     with iperf3 -s on the host\n"
		   "  tapglass iperf3 -c 192.0.2.1 -u -b 100M -J\n",
	.options = iperf3_options,
	.link_options = true,
	.max_args = 0,
	.args_name = "HOST",
	.set = iperf3_set,
};

static int check_client(struct iperf3 *c)
{
	struct iperf_params *p = &c->client.p;

	if (!tg_ip_parse(c->host, &c->client.server.ip)) {
		return usage_error("iperf3: \"%s\" is not an address like 192.0.2.1", c->host);
	}
	c->client.server.port = c->port;
	if (c->has_time + (p->bytes != 0) + (p->blocks != 0) > 1) {
		return usage_error("iperf3: only one of -t, -n and -k may say when the test ends");
	}
	if (p->reverse && p->bidir) {
		return usage_error("iperf3: -R does not go with --bidir");
	}
	if (c->opt.one_off) {
		return usage_error("iperf3: -1 is a server's");
	}
	if (p->udp && (p->block_bytes > IPERF_UDP_BLOCK_MAX ||
			      (p->block_bytes != 0 && p->block_bytes < 16))) {
		return usage_error("iperf3: -l of datagrams is 16 to %u", IPERF_UDP_BLOCK_MAX);
	}
	if (!c->has_time && p->bytes == 0 && p->blocks == 0) {
		p->time_s = 10;
	}
	if (p->udp && !c->has_rate) {
		p->rate_bps = IPERF_UDP_RATE;
	}
	if (!p->udp && p->block_bytes == 0) {
		p->block_bytes = IPERF_TCP_BLOCK;
	}
	return OPTIONS_GO;
}

static int iperf3_parse(struct iperf3 *c, int argc, char **argv)
{
	int first, rc;

	options_default(&c->common);
	c->port = IPERF_PORT;
	c->opt.interval_ns = NS_PER_S;
	c->opt.idle_ns = IPERF_IDLE_NS;
	c->client.p.parallel = 1;
	c->client.p.pacing_us = 1000;
	strcpy(c->client.p.version, TAPGLASS_VERSION);
	rc = options_parse(argc, argv, &iperf3_spec, &c->common, c, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (c->is_server == c->is_client) {
		return usage_error("iperf3: %s of -s and -c HOST (tapglass iperf3 --help)",
			c->is_server ? "only one" : "one");
	}
	return c->is_client ? check_client(c) : OPTIONS_GO;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void put_line(void *arg, const char *line, size_t n, bool error)
{
	struct iperf3 *c = arg;

	out_line(error ? &c->job->err : &c->job->out, line, n);
}

static void put_json(void *arg, char *json)
{
	struct iperf3 *c = arg;

	if (c->job->text_at < c->job->text_bytes) {
		job_error(c->job,
			"tapglass: iperf3: a report is lost: nobody takes the one before it\n");
		free(json);
		return;
	}
	job_text(c->job, json, strlen(json));
}

static uint64_t iperf3_round(struct job *j, uint64_t now_ns)
{
	struct iperf3 *c = j->state;
	uint64_t due, t;
	bool failed, done;

	if (c->run != NULL) {
		due = iperf_client_round(c->run, now_ns);
		done = iperf_client_done(c->run, &failed);
	} else {
		due = svc_round(&c->services, now_ns);
		t = iperf_server_round(c->server, now_ns);
		due = t < due ? t : due;
		done = iperf_server_done(c->server, &failed);
	}
	if (done) {
		job_finish(j, failed ? EXIT_FAILED : EXIT_OK);
	}
	return due;
}

static int iperf3_start(struct job *j, int argc, char **argv)
{
	struct iperf3 *c = calloc(1, sizeof *c);
	uint64_t now = tg_host_now();
	int rc;

	if (c == NULL) {
		return failure("out of memory");
	}
	j->state = c;
	c->job = j;
	rc = iperf3_parse(c, argc, argv);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	c->sink = (struct iperf_sink){c, put_line, put_json};
	c->services.s = j->link->stack;
	if (c->is_client) {
		c->run = iperf_client_start(j->link->stack, &c->client, &c->opt, &c->sink, now);
		return c->run != NULL ? JOB_GOES_ON : failure("out of memory");
	}
	c->server = iperf_server_start(&c->services, c->port, &c->opt, &c->sink, now, &rc);
	if (c->server == NULL) {
		job_error(j, "tapglass: iperf3: unable to listen on port %u: %s\n",
			(unsigned)c->port, errno_text(rc));
		return EXIT_FAILED;
	}
	return JOB_GOES_ON;
}

static void iperf3_stop(struct job *j)
{
	struct iperf3 *c = j->state;
	bool busy = false;

	if (c->run != NULL) {
		iperf_client_stop(c->run, tg_host_now());
		busy = true;
	} else if (c->server != NULL) {
		busy = iperf_server_stop(c->server, tg_host_now());
	}
	job_finish(j, busy ? EXIT_FAILED : EXIT_OK);
}

static void iperf3_end(struct job *j)
{
	struct iperf3 *c = j->state;

	if (c != NULL) {
		iperf_client_free(c->run, tg_host_now());
		iperf_server_free(c->server, tg_host_now());
		free(c);
	}
}

const struct job_verb iperf3_job = {"iperf3", iperf3_start, iperf3_round, iperf3_stop, iperf3_end};

int iperf3_main(int argc, char **argv)
{
	struct iperf3 *c = calloc(1, sizeof *c);
	int rc;

	if (c == NULL) {
		return failure("out of memory");
	}
	rc = iperf3_parse(c, argc, argv);
	if (rc == OPTIONS_GO) {
		rc = verb_run(&iperf3_job, &c->common, NULL, argc, argv);
	}
	free(c);
	return rc;
}
