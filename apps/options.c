/* Command lines: the common options and their help. getopt_long finds the options, this table says
 * what they mean. */
#define _GNU_SOURCE 1
#include "options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_DEFAULT_NS (50 * NS_PER_US)
#define OPTIONS_MAX     96

enum {
	OPT_LINK = 256,
	OPT_NET,
	OPT_ADDR,
	OPT_PCAP,
	OPT_SEED,
	OPT_MTU,
	OPT_SYSCTL,
	OPT_PLAIN,
	OPT_BIG_TCP,
	OPT_CC,
	OPT_PACING,
	OPT_VERBOSE,
	OPT_QUIET,
	OPT_COLOR,
	OPT_READY_FD,
	OPT_BUSY,
	OPT_NAME,
	OPT_HELP,
	OPT_IMPAIR, /* and what follows: impairments[] */
};

static const struct option_spec common[] = {
	{"link", 0, OPT_LINK, "LINK",
		"auto: the first that works of your TAP tg0, a TAP here, private, veth, sim; or "
		"tap:NAME"},
	{"net", 0, OPT_NET, "NET/LEN", "IPv4 network: host .1, stack .2 (default 192.0.2.0/24)"},
	{"addr", 0, OPT_ADDR, "ADDR", "the stack's address in that network"},
	{"mtu", 0, OPT_MTU, "N", "largest IP packet, 68 to 65535 (default: the link's)"},
	{"sysctl", 0, OPT_SYSCTL, "NAME=VALUE",
		"a setting by its name on Linux, such as net.ipv4.tcp_ecn=1; several times"},
	{"plain", 0, OPT_PLAIN, NULL, "no offloads: frames of the MTU, checksums in software"},
	{"big-tcp", 0, OPT_BIG_TCP, NULL,
		"TCP goes out in frames of up to 192 KB, of which not every sniffer knows"},
	{"cc", 0, OPT_CC, "NAME", "congestion control: cubic (default) or reno"},
	{"pacing", 0, OPT_PACING, NULL, "send at the window's rate, not in bursts"},
	{"pcap", 0, OPT_PCAP, "FILE", "capture all packets (pcapng)"},
	{"seed", 0, OPT_SEED, "N", "keys and random numbers from N, for repeatable runs"},
	{"busy", 0, OPT_BUSY, "[=US]",
		"poll for so many microseconds before sleeping (50); auto: as long as it pays"},
	{"verbose", 'v', OPT_VERBOSE, NULL, "log every segment; twice: also timers and calls"},
	{"quiet", 'q', OPT_QUIET, NULL, "no banner, no log"},
	{"color", 0, OPT_COLOR, "WHEN", "auto, always or never"},
	{"ready-fd", 0, OPT_READY_FD, "N",
		"write a newline to descriptor N when ready, and close it"},
	{"name", 0, OPT_NAME, "NAME", "of the running stack, for several at a time (default)"},
	{"help", 'h', OPT_HELP, NULL, "this text"},
	{NULL, 0, 0, NULL, NULL},
};

/* Each also as NAME-in (towards the stack) and NAME-out (from it). */
static const struct {
	const char *name, *arg, *help;
} impairments[] = {
	{"drop", "2%", "lose packets"},
	{"dup", "1%", "duplicate packets"},
	{"reorder", "1%", "let packets overtake others"},
	{"corrupt", ".1%", "flip bits"},
	{"delay", "20ms±5", "delay packets, with jitter"},
	{"rate", "10mbit", "limit the rate"},
};
#define IMPAIRMENTS (sizeof impairments / sizeof impairments[0])

/* What a verb without a link has. */
static const struct option_spec named[] = {
	{"name", 0, OPT_NAME, "NAME", "which running stack, if there are several (default)"},
	{"help", 'h', OPT_HELP, NULL, "this text"},
	{NULL, 0, 0, NULL, NULL},
};
static const struct option_spec help_only[] = {
	{"help", 'h', OPT_HELP, NULL, "this text"},
	{NULL, 0, 0, NULL, NULL},
};

void options_default(struct options *o)
{
	*o = (struct options){
		.name = "default",
		.net = UINT32_C(0xc0000200), /* 192.0.2.0 [5737 3] */
		.prefix_len = 24,
		.ready_fd = -1,
	};
	tg_impair_default(&o->in);
	tg_impair_default(&o->out);
}

/* ---- Meanings -------------------------------------------------------------------------------- */

static int set_link(struct options *o, const char *arg)
{
	if (strcmp(arg, "auto") == 0) {
		o->link = LINK_AUTO;
	} else if (strcmp(arg, "private") == 0) {
		o->link = LINK_PRIVATE;
	} else if (strcmp(arg, "veth") == 0) {
		o->link = LINK_VETH;
	} else if (strcmp(arg, "sim") == 0) {
		o->link = LINK_SIM;
	} else if (strncmp(arg, "tap:", 4) == 0) {
		size_t n = strlen(arg + 4);

		if (n == 0 || n >= sizeof o->tap || strpbrk(arg + 4, "/ %") != NULL) {
			return usage_error(
				"--link %s: a TAP's name has 1 to 15 characters, no slash, "
				"blank or percent sign",
				arg);
		}
		o->link = LINK_TAP;
		memcpy(o->tap, arg + 4, n + 1);
	} else {
		return usage_error("--link %s: not auto, private, veth, sim or tap:NAME", arg);
	}
	return 0;
}

static int set_net(struct options *o, const char *arg)
{
	char text[20], dotted[16];
	const char *slash = strchr(arg, '/');
	struct tg_ip ip;
	uint64_t len;
	uint32_t v, mask;

	if (slash == NULL || (size_t)(slash - arg) >= sizeof text) {
		return usage_error("--net %s: not a network like 10.9.0.0/24", arg);
	}
	memcpy(text, arg, (size_t)(slash - arg));
	text[slash - arg] = '\0';
	if (!tg_ip_parse(text, &ip) || !parse_u64(slash + 1, 8, 30, &len)) {
		return usage_error(
			"--net %s: not a network like 10.9.0.0/24 (length 8 to 30)", arg);
	}
	v = tg_ip4_value(&ip);
	mask = ~UINT32_C(0) << (32 - len);
	if ((v & ~mask) != 0) {
		ip = tg_ip4_of(v & mask);
		return usage_error("--net %s: bits are set behind the prefix; %s/%u is the network",
			arg, tg_ip_format(&ip, dotted), (unsigned)len);
	}
	if (v >> 24 == 0 || v >> 24 == 127 || v >> 28 >= 14) {
		return usage_error("--net %s: not a network of unicast addresses", arg);
	}
	o->net = v;
	o->prefix_len = (unsigned)len;
	o->has_net = true;
	return 0;
}

static int set_addr(struct options *o, const char *arg)
{
	struct tg_ip ip;

	if (!tg_ip_parse(arg, &ip)) {
		return usage_error("--addr %s: not an address like 192.0.2.2", arg);
	}
	o->addr = tg_ip4_value(&ip);
	o->has_addr = true;
	return 0;
}

static int set_color(struct options *o, const char *arg)
{
	static const char names[][8] = {"auto", "always", "never"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(arg, names[i]) == 0) {
			o->color = (enum color)i;
			return 0;
		}
	}
	return usage_error("--color %s: not auto, always or never", arg);
}

static int set_ready_fd(struct options *o, const char *arg)
{
	uint64_t n;

	if (!parse_u64(arg, 0, 1 << 20, &n) || fcntl((int)n, F_GETFD) < 0) {
		return usage_error("--ready-fd %s: not an open descriptor", arg);
	}
	o->ready_fd = (int)n;
	return 0;
}

static int set_busy(struct options *o, const char *arg)
{
	uint64_t us;

	o->busy_ns = BUSY_DEFAULT_NS;
	if (arg != NULL && strcmp(arg, "auto") == 0) {
		o->busy_ns = TG_HOST_BUSY_AUTO;
	} else if (arg != NULL) {
		if (!parse_u64(arg, 0, 1000000, &us)) {
			return usage_error(
				"--busy=%s: not 0 to 1000000 microseconds, nor auto", arg);
		}
		o->busy_ns = us * NS_PER_US;
	}
	return 0;
}

static int set_mtu(struct options *o, const char *arg)
{
	uint64_t n;

	if (!parse_u64(arg, 68, 65535, &n)) {
		return usage_error("--mtu %s: not 68 to 65535", arg);
	}
	o->mtu = (uint32_t)n;
	return 0;
}

/* Kept until the configuration is there; whether the setting exists is told at once. */
static int set_sysctl(struct options *o, const char *arg)
{
	struct tg_config scratch;

	tg_config_default(&scratch);
	if (!options_sysctl(&scratch, arg)) {
		return usage_error("--sysctl %s: no such setting here, or not a value of it", arg);
	}
	if (o->n_sysctls == OPTIONS_SYSCTLS) {
		return usage_error("--sysctl %s: more than %d settings", arg, OPTIONS_SYSCTLS);
	}
	o->sysctl[o->n_sysctls++] = arg;
	return 0;
}

bool options_sysctl(struct tg_config *c, const char *arg)
{
	const char *eq = strchr(arg, '=');
	char name[64];

	if (eq == NULL || (size_t)(eq - arg) >= sizeof name) {
		return false;
	}
	memcpy(name, arg, (size_t)(eq - arg));
	name[eq - arg] = '\0';
	return tg_config_sysctl(c, name, eq + 1);
}

static int set_impairment(struct options *o, unsigned which, const char *arg)
{
	static const char suffix[][8] = {"", "-in", "-out"};
	const char *name = impairments[which / 3].name;
	char err[160] = "";
	bool ok = true;

	if (which % 3 != 2) {
		ok = tg_impair_parse(&o->in, name, arg, err, sizeof err);
	}
	if (ok && which % 3 != 1) {
		ok = tg_impair_parse(&o->out, name, arg, err, sizeof err);
	}
	return ok ? 0 : usage_error("--%s%s %s: %s", name, suffix[which % 3], arg, err);
}

static int set_name(struct options *o, const char *arg)
{
	size_t n = strlen(arg);

	if (n == 0 || n > 32 || arg[0] == '-' ||
		strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
			n) {
		return usage_error("--name %s: a name has 1 to 32 letters, digits, - and _", arg);
	}
	o->name = arg;
	return 0;
}

/* Does the option say something about the link itself? */
static int set_cc(struct options *o, const char *arg)
{
	const char *name;

	for (unsigned cc = 0; (name = tg_cc_name(cc)) != NULL; cc++) {
		if (strcmp(arg, name) == 0) {
			o->cc = cc;
			return 0;
		}
	}
	return usage_error("--cc %s: cubic or reno", arg);
}

static bool about_link(int value)
{
	return value == OPT_LINK || value == OPT_NET || value == OPT_ADDR || value == OPT_PCAP ||
	       value == OPT_SEED || value == OPT_MTU || value == OPT_SYSCTL || value == OPT_PLAIN ||
	       value == OPT_BIG_TCP || value == OPT_BUSY || value == OPT_CC ||
	       value == OPT_PACING || value == OPT_READY_FD || value >= OPT_IMPAIR;
}

static int set_common(struct options *o, int value, const char *arg)
{
	o->own_link = o->own_link || about_link(value);
	switch (value) {
	case OPT_NAME: return set_name(o, arg);
	case OPT_LINK: return set_link(o, arg);
	case OPT_NET: return set_net(o, arg);
	case OPT_ADDR: return set_addr(o, arg);
	case OPT_PCAP: o->pcap = arg; return 0;
	case OPT_MTU: return set_mtu(o, arg);
	case OPT_SYSCTL: return set_sysctl(o, arg);
	case OPT_PLAIN: o->plain = true; return 0;
	case OPT_BIG_TCP: o->big_tcp = true; return 0;
	case OPT_CC: return set_cc(o, arg);
	case OPT_PACING: o->pacing = true; return 0;
	case OPT_VERBOSE: o->verbose++; return 0;
	case OPT_QUIET: o->quiet = true; return 0;
	case OPT_COLOR: return set_color(o, arg);
	case OPT_READY_FD: return set_ready_fd(o, arg);
	case OPT_BUSY: return set_busy(o, arg);
	case OPT_SEED:
		o->has_seed = parse_u64(arg, 0, UINT64_MAX, &o->seed);
		return o->has_seed ? 0 : usage_error("--seed %s: not a number", arg);
	default: return set_impairment(o, (unsigned)(value - OPT_IMPAIR), arg);
	}
}

/* --addr belongs to --net, whatever order they came in. */
static int check_addr(struct options *o)
{
	uint32_t mask = ~UINT32_C(0) << (32 - o->prefix_len);
	struct tg_ip ip = tg_ip4_of(o->addr), net = tg_ip4_of(o->net);
	char a[16], b[16];

	if (!o->has_addr) {
		return OPTIONS_GO;
	}
	tg_ip_format(&ip, a);
	tg_ip_format(&net, b);
	if ((o->addr & mask) != o->net || o->addr == o->net || o->addr == (o->net | ~mask)) {
		return usage_error("--addr %s: not a host of %s/%u", a, b, o->prefix_len);
	}
	if (o->addr == o->net + 1) {
		return usage_error("--addr %s: that is the host's own address", a);
	}
	return OPTIONS_GO;
}

/* ---- Help ------------------------------------------------------------------------------------ */

static void help_option(const struct option_spec *s)
{
	char left[64];
	int width = 30;
	bool optional = s->arg != NULL && s->arg[0] == '[';
	const char *sep = s->arg == NULL || optional ? "" : " ";
	const char *arg = s->arg != NULL ? s->arg : "";

	if (s->letter != 0 && s->name != NULL) {
		snprintf(left, sizeof left, "-%c, --%s%s%s", s->letter, s->name, sep, arg);
	} else if (s->letter != 0) {
		snprintf(left, sizeof left, "-%c%s%s", s->letter, sep, arg);
	} else {
		snprintf(left, sizeof left, "    --%s%s%s", s->name, sep, arg);
	}
	for (const char *c = left; *c != '\0'; c++) {
		width += ((unsigned char)*c & 0xc0) == 0x80; /* these bytes take no column */
	}
	printf("  %-*s  %s\n", width, left, s->help);
}

/* The options that are not the verb's own. */
static const struct option_spec *shared_options(const struct verb_spec *v)
{
	return v->link_options ? common : v->name_option ? named : help_only;
}

/* A verb may give a shared option's name or letter another meaning. */
static bool is_own(const struct verb_spec *v, const char *name, char letter)
{
	const struct option_spec *s;

	for (s = v->options; s != NULL && s->help != NULL; s++) {
		if ((letter != 0 && s->letter == letter) ||
			(name != NULL && s->name != NULL && strcmp(s->name, name) == 0)) {
			return true;
		}
	}
	return false;
}

void options_each(
	const struct verb_spec *v, void (*fn)(void *ctx, const struct option_spec *s), void *ctx)
{
	const struct option_spec *s;

	for (s = v->options; s != NULL && s->help != NULL; s++) {
		fn(ctx, s);
	}
	for (s = shared_options(v); s->help != NULL; s++) {
		struct option_spec one = *s;

		if (is_own(v, NULL, s->letter)) {
			one.letter = 0;
		}
		if (!is_own(v, s->name, 0)) {
			fn(ctx, &one);
		}
	}
}

bool options_impairment(unsigned i, struct option_spec *out, char name[16])
{
	static const char suffix[][8] = {"", "-in", "-out"};

	if (i >= IMPAIRMENTS * 3) {
		return false;
	}
	snprintf(name, 16, "%s%s", impairments[i / 3].name, suffix[i % 3]);
	*out = (struct option_spec){
		name, 0, OPT_IMPAIR + (int)i, impairments[i / 3].arg, impairments[i / 3].help};
	return true;
}

static void help_each(void *ctx, const struct option_spec *s)
{
	(void)ctx;
	help_option(s);
}

static void help_print(const struct verb_spec *v)
{
	printf("usage: tapglass %s\n\n%s\n\noptions:\n", v->usage, v->about);
	options_each(v, help_each, NULL);
	if (v->link_options) {
		printf("\nimpairments, both ways, or one with --NAME-in (towards the stack), "
		       "--NAME-out:\n");
		for (size_t i = 0; i < IMPAIRMENTS; i++) {
			struct option_spec one = {
				impairments[i].name, 0, 0, impairments[i].arg, impairments[i].help};

			help_option(&one);
		}
	}
	printf("\nexample:\n%s", v->example);
}

/* ---- Parsing --------------------------------------------------------------------------------- */

/* What getopt_long wants. */
struct table {
	struct option longs[OPTIONS_MAX];
	char shorts[OPTIONS_MAX * 2 + 2];
	char names[IMPAIRMENTS * 3][16];
	int by_letter[128]; /* letter -> value */
	size_t n_longs, n_shorts;
};

static void table_add(void *ctx, const struct option_spec *s)
{
	struct table *t = ctx;
	bool optional = s->arg != NULL && s->arg[0] == '[';
	int has = s->arg == NULL ? no_argument : optional ? optional_argument : required_argument;

	if (t->n_longs + 1 >= OPTIONS_MAX) {
		return; /* which tests/house/complete.sh finds out */
	}
	if (s->name != NULL) {
		t->longs[t->n_longs++] = (struct option){s->name, has, NULL, s->value};
	}
	if (s->letter != 0) {
		t->by_letter[(unsigned char)s->letter] = s->value;
		t->shorts[t->n_shorts++] = s->letter;
		if (has == required_argument) {
			t->shorts[t->n_shorts++] = ':';
		}
	}
}

static void table_make(struct table *t, const struct verb_spec *v)
{
	struct option_spec s;

	memset(t, 0, sizeof *t);
	t->shorts[t->n_shorts++] = ':';
	options_each(v, table_add, t);
	for (unsigned i = 0; v->link_options && options_impairment(i, &s, t->names[i]); i++) {
		table_add(t, &s);
	}
}

static int bad_option(int code, char **argv)
{
	const char *what = argv[optind - 1];

	if (code == ':' && strncmp(what, "--", 2) == 0) {
		return usage_error("option %s needs an argument", what);
	}
	if (code == ':') {
		return usage_error("option -%c needs an argument", optopt);
	}
	if (optopt > 0 && strncmp(what, "--", 2) != 0) {
		return usage_error(
			"unknown option -%c (tapglass %s --help lists them)", optopt, argv[0]);
	}
	if (optopt != 0) {
		return usage_error("option %s takes no argument", what);
	}
	return usage_error(
		"unknown or ambiguous option %s (tapglass %s --help lists them)", what, argv[0]);
}

static int check_args(int argc, char **argv, const struct verb_spec *v)
{
	int n = argc - optind;

	if (n < v->min_args) {
		return usage_error(
			"%s: %s is missing (tapglass %s --help)", argv[0], v->args_name, argv[0]);
	}
	if (n > v->max_args) {
		return usage_error(
			"%s: unexpected argument \"%s\"", argv[0], argv[optind + v->max_args]);
	}
	return OPTIONS_GO;
}

int options_parse(
	int argc, char **argv, const struct verb_spec *v, struct options *o, void *ctx, int *first)
{
	struct table t;
	int code, rc;

	table_make(&t, v);
	opterr = 0;
	optind = 0; /* start anew: several command lines are parsed in one process */
	while ((code = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		if (code == '?' || code == ':') {
			return bad_option(code, argv);
		}
		if (code < 128 && t.by_letter[code] != 0) {
			code = t.by_letter[code];
		}
		if (code == OPT_HELP) {
			help_print(v);
			return EXIT_OK;
		}
		rc = code >= 256 ? set_common(o, code, optarg) : v->set(ctx, code, optarg);
		if (rc != 0) {
			return rc;
		}
	}
	*first = optind;
	rc = check_args(argc, argv, v);
	return rc != OPTIONS_GO || !v->link_options ? rc : check_addr(o);
}
