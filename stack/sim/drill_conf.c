/* The packet-script engine: settings. `//@ config` names fields of tg_config, `sysctl` lines
 * Linux's names for those of them that have one, --options the addresses and limits of a run.
 * tg_config_sysctl takes those names, too. */
#include "sim/drill.h"
#include "tapglass_host.h"

struct field {
	const char *name;
	uint32_t offset;
	uint8_t bytes;
};

#define FIELD(section, name)                                                                       \
	{                                                                                          \
#section "." #name, offsetof(struct tg_config, section.name),                      \
			sizeof(((struct tg_config *)0)->section.name)                              \
	}

static const struct field fields[] = {FIELD(ip, default_ttl), FIELD(ip, reasm_bytes),
	FIELD(ip, reasm_timeout_ns), FIELD(ip, icmp_errors_per_sec), FIELD(ip, icmp_echo),
	FIELD(udp, rcvbuf_bytes), FIELD(udp, sndbuf_bytes), FIELD(tcp, rcvbuf_bytes),
	FIELD(tcp, sndbuf_bytes), FIELD(tcp, window_scaling), FIELD(tcp, timestamps),
	FIELD(tcp, sack), FIELD(tcp, initial_window_segs), FIELD(tcp, rto_initial_ns),
	FIELD(tcp, rto_min_ns), FIELD(tcp, rto_max_ns), FIELD(tcp, delack_ns), FIELD(tcp, msl_ns),
	FIELD(tcp, fin_wait_2_ns), FIELD(tcp, r2_ns), FIELD(tcp, r2_syn_ns),
	FIELD(tcp, r1_retransmits), FIELD(tcp, keepalive_idle_ns),
	FIELD(tcp, keepalive_interval_ns), FIELD(tcp, keepalive_probes), FIELD(tcp, max_half_open),
	FIELD(tcp, max_time_wait), FIELD(tcp, port_first), FIELD(tcp, port_last),
	FIELD(tcp, rcvbuf_min_bytes), FIELD(tcp, rcvbuf_max_bytes), FIELD(tcp, sndbuf_min_bytes),
	FIELD(tcp, sndbuf_max_bytes), FIELD(tcp, moderate_rcvbuf), FIELD(tcp, mem_pressure_bytes),
	FIELD(tcp, mem_high_bytes), FIELD(tcp, syncookies), FIELD(tcp, tw_reuse),
	FIELD(tcp, fast_path), FIELD(tcp, challenge_acks), FIELD(tcp, ecn), FIELD(tcp, mtu_probing),
	FIELD(tcp, mtu_base), FIELD(tcp, mtu_floor), FIELD(tcp, mtu_probe_interval_ns),
	FIELD(ip, min_pmtu), FIELD(ip, pmtu_expires_ns), FIELD(ip, no_pmtu_disc)};

/* False: the value does not fit the field. */
static bool set_field(struct tg_config *c, const struct field *f, uint64_t v)
{
	uint8_t *at = (uint8_t *)c + f->offset;
	uint32_t v32 = (uint32_t)v;
	uint16_t v16 = (uint16_t)v;
	uint8_t v8 = (uint8_t)v;

	if (f->bytes < 8 && v >> (8 * f->bytes))
		return false;
	if (f->bytes == 8)
		memcpy(at, &v, 8);
	else if (f->bytes == 4)
		memcpy(at, &v32, 4);
	else if (f->bytes == 2)
		memcpy(at, &v16, 2);
	else
		memcpy(at, &v8, 1);
	return true;
}

static bool is_bool(const struct field *f)
{
	return f->offset == offsetof(struct tg_config, ip.icmp_echo) ||
	       f->offset == offsetof(struct tg_config, ip.no_pmtu_disc) ||
	       f->offset == offsetof(struct tg_config, tcp.moderate_rcvbuf) ||
	       f->offset == offsetof(struct tg_config, tcp.window_scaling) ||
	       f->offset == offsetof(struct tg_config, tcp.timestamps) ||
	       f->offset == offsetof(struct tg_config, tcp.sack) ||
	       f->offset == offsetof(struct tg_config, tcp.fast_path);
}

/* The field of a name that stands in a table of ours. */
static const struct field *field_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		for (const char *a = name, *b = fields[i].name; *a == *b; a++, b++)
			if (!*a)
				return &fields[i];
	return NULL;
}

static const struct field *field_find(const char *name, uint32_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (word_is(name, n, fields[i].name))
			return &fields[i];
	return NULL;
}

static uint32_t dotted_word(struct cursor *c, const char **word)
{
	const char *w;

	*word = c->at;
	while (cur_word(c, &w) && cur_take(c, "."))
		;
	return (uint32_t)(c->at - *word);
}

bool drill_parse_config(struct drill *d)
{
	struct drill_pos pos = cur_pos(&d->c);
	const char *w;
	uint32_t n = dotted_word(&d->c, &w);
	const struct field *f = field_find(w, n);
	uint64_t v;

	if (!f)
		return drill_error(d, pos, "unknown setting '%S'", w, n);
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (!cur_quantity(&d->c, &v))
		return drill_error(
			d, pos, "a value with or without a unit is expected here", "", 0);
	if ((is_bool(f) && v > 1) || !set_field(&d->cfg, f, v))
		return drill_error(d, pos, "this value is too large", "", 0);
	return true;
}

/* ---- sysctl ---------------------------------------------------------------------------------- */

static const struct {
	const char *name, *field;
	uint64_t factor; /* 0: a switch */
	uint8_t take;    /* which of its numbers */
	uint8_t of;      /* how many there are */
} sysctls[] = {{"net.ipv4.tcp_timestamps", "tcp.timestamps", 0, 0, 1},
	{"net.ipv4.tcp_sack", "tcp.sack", 0, 0, 1},
	{"net.ipv4.tcp_window_scaling", "tcp.window_scaling", 0, 0, 1},
	{"net.ipv4.tcp_mtu_probing", "tcp.mtu_probing", 1, 0, 1},
	{"net.ipv4.tcp_base_mss", "tcp.mtu_base", 1, 0, 1},
	{"net.ipv4.tcp_mtu_probe_floor", "tcp.mtu_floor", 1, 0, 1},
	{"net.ipv4.tcp_probe_interval", "tcp.mtu_probe_interval_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_ecn", "tcp.ecn", 1, 0, 1},
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_min_bytes", 1, 0, 3},
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_bytes", 1, 1, 3},
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_max_bytes", 1, 2, 3},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_min_bytes", 1, 0, 3},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_bytes", 1, 1, 3},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_max_bytes", 1, 2, 3},
	{"net.ipv4.tcp_moderate_rcvbuf", "tcp.moderate_rcvbuf", 0, 0, 1},
	{"net.ipv4.tcp_mem", "tcp.mem_pressure_bytes", 4096, 1, 3},
	{"net.ipv4.tcp_mem", "tcp.mem_high_bytes", 4096, 2, 3},
	{"net.ipv4.tcp_fin_timeout", "tcp.fin_wait_2_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_keepalive_time", "tcp.keepalive_idle_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_keepalive_intvl", "tcp.keepalive_interval_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_keepalive_probes", "tcp.keepalive_probes", 1, 0, 1},
	{"net.ipv4.tcp_retries1", "tcp.r1_retransmits", 1, 0, 1},
	{"net.ipv4.tcp_tw_reuse", "tcp.tw_reuse", 1, 0, 1},
	{"net.ipv4.ip_local_port_range", "tcp.port_first", 1, 0, 2},
	{"net.ipv4.ip_local_port_range", "tcp.port_last", 1, 1, 2},
	{"net.ipv4.tcp_syncookies", "tcp.syncookies", 1, 0, 1},
	{"net.ipv4.tcp_max_syn_backlog", "tcp.max_half_open", 1, 0, 1},
	{"net.ipv4.tcp_max_tw_buckets", "tcp.max_time_wait", 1, 0, 1},
	{"net.ipv4.tcp_rto_min_us", "tcp.rto_min_ns", NS_PER_US, 0, 1},
	{"net.ipv4.ip_no_pmtu_disc", "ip.no_pmtu_disc", 0, 0, 1},
	{"net.ipv4.route.min_pmtu", "ip.min_pmtu", 1, 0, 1},
	{"net.ipv4.route.mtu_expires", "ip.pmtu_expires_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.ip_default_ttl", "ip.default_ttl", 1, 0, 1}};

static size_t sysctl_find(const char *w, uint32_t n)
{
	size_t i = 0;

	while (i < ARRAY_LEN(sysctls) && !word_is(w, n, sysctls[i].name))
		i++;
	return i;
}

static uint32_t text_bytes(const char *text)
{
	uint32_t n = 0;

	while (text[n] && n < 200)
		n++;
	return n;
}

#define SYSCTL_NUMBERS 3

/* Sets the fields of sysctl i, which may be several: rows of the same name follow one another. */
static bool sysctl_apply(struct tg_config *c, size_t i, const uint64_t v[SYSCTL_NUMBERS])
{
	const char *name = sysctls[i].name;

	for (; i < ARRAY_LEN(sysctls) && word_is(name, text_bytes(name), sysctls[i].name); i++) {
		const struct field *f = field_named(sysctls[i].field);
		uint64_t n = v[sysctls[i].take];

		ASSERT(f);
		n = sysctls[i].factor ? n * sysctls[i].factor : n != 0;
		if ((is_bool(f) && n > 1) || !set_field(c, f, n))
			return false;
	}
	return true;
}

bool tg_config_sysctl(struct tg_config *c, const char *name, const char *value)
{
	struct cursor at = {value, value + text_bytes(value), value, 1};
	size_t i = sysctl_find(name, text_bytes(name));
	uint64_t v[SYSCTL_NUMBERS];

	if (i == ARRAY_LEN(sysctls))
		return false;
	for (uint8_t k = 0; k < sysctls[i].of; k++) {
		cur_blanks(&at);
		if (!cur_uint(&at, UINT32_MAX, &v[k]))
			return false;
	}
	return at.at == at.end && sysctl_apply(c, i, v);
}

/* NAME=VALUE or NAME="A B C". */
static bool parse_assignment(struct drill *d)
{
	struct drill_pos pos = cur_pos(&d->c);
	uint64_t v[SYSCTL_NUMBERS];
	const char *w;
	uint32_t n = dotted_word(&d->c, &w);
	size_t i = sysctl_find(w, n);

	if (i == ARRAY_LEN(sysctls))
		return drill_error(d, pos, "no setting answers to '%S'", w, n);
	if (!cur_take(&d->c, "="))
		return drill_error_at(d, "'=' is expected here");
	cur_take(&d->c, "\"");
	for (uint8_t k = 0; k < sysctls[i].of; k++) {
		cur_blanks(&d->c);
		pos = cur_pos(&d->c);
		if (!cur_uint(&d->c, UINT32_MAX, &v[k]))
			return drill_error(d, pos, "a number is expected here", "", 0);
	}
	cur_take(&d->c, "\"");
	if (!sysctl_apply(&d->cfg, i, v))
		return drill_error(d, pos, "this value is too large", "", 0);
	return true;
}

/* Blanks, ends of commands and continued lines. False: nothing such comes next. */
static bool take_separator(struct drill *d, bool *fresh)
{
	char ch = cur_peek(&d->c);

	if (cur_take(&d->c, "\\\n"))
		return true;
	if (ch != ' ' && ch != '\t' && ch != '\r' && ch != '\n' && ch != ';' && ch != '&')
		return false;
	*fresh = *fresh || ch == '\n' || ch == ';' || ch == '&';
	cur_next(&d->c);
	return true;
}

bool drill_parse_command(struct drill *d)
{
	struct drill_pos open = cur_pos(&d->c), pos;
	bool fresh = true; /* at the start of a command */
	const char *w;
	uint32_t n;

	for (;;) {
		while (take_separator(d, &fresh))
			;
		if (cur_take(&d->c, "`"))
			return true;
		if (d->c.at == d->c.end)
			return drill_error(d, open, "this command does not end", "", 0);
		pos = cur_pos(&d->c);
		if (fresh) {
			n = cur_word(&d->c, &w);
			if (!word_is(w, n, "sysctl"))
				return drill_error(
					d, pos, "of commands only sysctl is understood", "", 0);
			fresh = false;
		} else if (!cur_take(&d->c, "-q") && !cur_take(&d->c, "-w") &&
			   !parse_assignment(d)) {
			return false;
		}
	}
}

/* ---- --options ------------------------------------------------------------------------------- */

static bool parse_address(struct cursor *c, uint32_t *out)
{
	uint64_t part;

	*out = 0;
	for (int i = 0; i < 4; i++) {
		if ((i && !cur_take(c, ".")) || !cur_uint(c, 255, &part))
			return false;
		*out = *out << 8 | (uint32_t)part;
	}
	return true;
}

static bool option_value(struct tg_drill_options *o, struct cursor *c, const char *w, uint32_t n)
{
	uint64_t v;

	if (word_is(w, n, "local_ip")) {
		if (!parse_address(c, &o->local_ip))
			return false;
		if (!cur_take(c, "/"))
			return true;
		if (!cur_uint(c, 32, &v))
			return false;
		o->prefix_len = (uint8_t)v;
		return true;
	}
	if (word_is(w, n, "remote_ip"))
		return parse_address(c, &o->remote_ip);
	if (word_is(w, n, "ip_version"))
		return cur_take(c, "ipv4");
	if (!cur_uint(c, 1000000000, &v))
		return false;
	if (word_is(w, n, "tolerance_usecs"))
		o->tolerance_us = (uint32_t)v;
	else if (word_is(w, n, "mtu") && v >= 68 && v <= UINT16_MAX)
		o->mtu = (uint32_t)v;
	else if (word_is(w, n, "bind_port") && v >= 1 && v <= UINT16_MAX)
		o->bind_port = (uint16_t)v;
	else if (word_is(w, n, "connect_port") && v >= 1 && v <= UINT16_MAX)
		o->connect_port = (uint16_t)v;
	else
		return false;
	return true;
}

bool tg_drill_option(struct tg_drill_options *o, const char *text, size_t n)
{
	struct cursor c = {text, text + n, text, 1};
	const char *w;
	uint32_t bytes;

	if (!cur_take(&c, "--"))
		return false;
	bytes = cur_word(&c, &w);
	return bytes && cur_take(&c, "=") && option_value(o, &c, w, bytes) && c.at == c.end;
}

void tg_drill_options_default(struct tg_drill_options *o)
{
	*o = (struct tg_drill_options){.name = "script",
		.local_ip = 0xc0a80001,
		.remote_ip = 0xc0000201,
		.prefix_len = 16,
		.mtu = 1500,
		.tolerance_us = 1000,
		.bind_port = 8080,
		.connect_port = 8080};
}
