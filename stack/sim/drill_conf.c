/* The packet-script engine: settings. `//@ config` names fields of tg_config, `sysctl` lines
 * Linux's names for those of them that have one. Of commands there are sysctl, and a few that do
 * nothing here: true, :, echo, sync. */
#include "sim/drill.h"

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
	FIELD(tcp, fast_path), FIELD(tcp, challenge_acks)};

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
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_bytes", 1, 1, 3},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_bytes", 1, 1, 3},
	{"net.ipv4.tcp_fin_timeout", "tcp.fin_wait_2_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_keepalive_time", "tcp.keepalive_idle_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_keepalive_intvl", "tcp.keepalive_interval_ns", NS_PER_SEC, 0, 1},
	{"net.ipv4.tcp_keepalive_probes", "tcp.keepalive_probes", 1, 0, 1},
	{"net.ipv4.tcp_retries1", "tcp.r1_retransmits", 1, 0, 1},
	{"net.ipv4.tcp_max_syn_backlog", "tcp.max_half_open", 1, 0, 1},
	{"net.ipv4.tcp_max_tw_buckets", "tcp.max_time_wait", 1, 0, 1},
	{"net.ipv4.tcp_rto_min_us", "tcp.rto_min_ns", NS_PER_US, 0, 1},
	{"net.ipv4.ip_default_ttl", "ip.default_ttl", 1, 0, 1}};

/* NAME=VALUE or NAME="A B C". */
static bool parse_assignment(struct drill *d, struct tg_config *cfg)
{
	struct drill_pos pos = cur_pos(&d->c);
	uint64_t v = 0, chosen = 0;
	const struct field *f = NULL;
	const char *w, *quote;
	uint32_t n = dotted_word(&d->c, &w);
	size_t i = 0;

	while (i < ARRAY_LEN(sysctls) && !word_is(w, n, sysctls[i].name))
		i++;
	if (!n)
		return drill_error(d, pos, "a setting is expected here", "", 0);
	if (i == ARRAY_LEN(sysctls))
		return drill_error(d, pos, "no setting answers to '%S'", w, n);
	f = field_named(sysctls[i].field);
	ASSERT(f);
	if (!cur_take(&d->c, "="))
		return drill_error_at(d, "'=' is expected here");
	quote = cur_take(&d->c, "\"") ? "\"" : cur_take(&d->c, "'") ? "'" : NULL;
	for (uint8_t k = 0; k < sysctls[i].of; k++) {
		cur_blanks(&d->c);
		pos = cur_pos(&d->c);
		if (!cur_uint(&d->c, UINT32_MAX, &v))
			return drill_error(d, pos, "a number is expected here", "", 0);
		if (k == sysctls[i].take)
			chosen = v;
	}
	if (quote && !cur_take(&d->c, quote))
		return drill_error_at(d, "this value should end here");
	if (!set_field(cfg, f, sysctls[i].factor ? chosen * sysctls[i].factor : chosen != 0))
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

/* What sysctl writes goes nowhere: "> /dev/null", "2>/dev/null", "2>&1". */
static bool take_redirection(struct drill *d)
{
	struct cursor saved = d->c;

	if (cur_take(&d->c, "2>&1"))
		return true;
	if (cur_take(&d->c, "2>") || cur_take(&d->c, "1>") || cur_take(&d->c, ">")) {
		cur_blanks(&d->c);
		if (cur_take(&d->c, "/dev/null"))
			return true;
	}
	d->c = saved;
	return false;
}

/* Up to the end of this command. */
static void skip_arguments(struct drill *d)
{
	while (d->c.at < d->c.end && cur_peek(&d->c) != '`' && cur_peek(&d->c) != ';' &&
		cur_peek(&d->c) != '&' && cur_peek(&d->c) != '\n')
		cur_next(&d->c);
}

/* Up to the closing '`'. */
static bool skip_command(struct drill *d, struct drill_pos open)
{
	while (d->c.at < d->c.end && cur_peek(&d->c) != '`')
		cur_next(&d->c);
	return cur_take(&d->c, "`") ? true
				    : drill_error(d, open, "this command does not end", "", 0);
}

/* A command's name. *skip: it does nothing here, whatever stands behind it. */
static bool parse_command_name(struct drill *d, bool *skip)
{
	static const char *const idle[] = {"true", ":", "echo", "sync"};
	struct drill_pos pos = cur_pos(&d->c);
	const char *w;
	uint32_t n;

	*skip = true;
	for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
		struct cursor saved = d->c;

		if (cur_take(&d->c, idle[i]) && !cur_at_word(&d->c))
			return true;
		d->c = saved;
	}
	*skip = false;
	n = cur_word(&d->c, &w);
	if (word_is(w, n, "sysctl"))
		return true;
	return drill_error(d, pos, "of commands only sysctl is understood", "", 0);
}

bool drill_parse_command(struct drill *d, bool effect)
{
	struct drill_pos open = cur_pos(&d->c);
	struct tg_config scratch = d->cfg, *cfg = effect ? &d->cfg : &scratch;
	bool fresh = true; /* at the start of a command */
	bool skip;

	if (d->o.skip_commands)
		return skip_command(d, open);
	for (;;) {
		while (take_separator(d, &fresh))
			;
		if (cur_take(&d->c, "`"))
			return true;
		if (d->c.at == d->c.end)
			return drill_error(d, open, "this command does not end", "", 0);
		if (fresh) {
			if (!parse_command_name(d, &skip))
				return false;
			if (skip)
				skip_arguments(d);
			fresh = false;
		} else if (!cur_take(&d->c, "-q") && !cur_take(&d->c, "-w") &&
			   !take_redirection(d) && !parse_assignment(d, cfg)) {
			return false;
		}
	}
}
