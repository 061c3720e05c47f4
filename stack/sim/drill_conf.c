/* The packet-script engine: settings. `//@ config` names fields of tg_config, `sysctl` lines
 * Linux's names for those of them that have one (tg_config_sysctl takes those names, too). Of
 * commands there are sysctl, and a few that do nothing here: true, :, echo, sync. */
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
	FIELD(tcp, r1_retransmits), FIELD(tcp, keepalive_idle_ns), FIELD(tcp, rest_after_ns),
	FIELD(tcp, keepalive_interval_ns), FIELD(tcp, keepalive_probes), FIELD(tcp, max_half_open),
	FIELD(tcp, max_time_wait), FIELD(tcp, port_first), FIELD(tcp, port_last),
	FIELD(tcp, rcvbuf_min_bytes), FIELD(tcp, rcvbuf_max_bytes), FIELD(tcp, sndbuf_min_bytes),
	FIELD(tcp, sndbuf_max_bytes), FIELD(tcp, notsent_lowat_bytes), FIELD(tcp, moderate_rcvbuf),
	FIELD(tcp, mem_pressure_bytes), FIELD(tcp, mem_high_bytes), FIELD(tcp, syncookies),
	FIELD(tcp, tw_reuse), FIELD(tcp, fast_path), FIELD(tcp, many_conns),
	FIELD(tcp, challenge_acks), FIELD(tcp, dsack), FIELD(tcp, recovery), FIELD(tcp, tlp),
	FIELD(tcp, tlp_ack_delay_ns), FIELD(tcp, tlp_min_ns), FIELD(tcp, max_reordering),
	FIELD(tcp, limited_transmit), FIELD(tcp, prr), FIELD(tcp, frto), FIELD(tcp, undo),
	FIELD(tcp, cc), FIELD(tcp, hystart), FIELD(tcp, pacing), FIELD(tcp, cwnd_validation),
	FIELD(tcp, ecn), FIELD(tcp, mtu_probing), FIELD(tcp, mtu_base), FIELD(tcp, mtu_floor),
	FIELD(tcp, mtu_probe_interval_ns), FIELD(ip, min_pmtu), FIELD(ip, pmtu_expires_ns),
	FIELD(ip, no_pmtu_disc)};

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
	       f->offset == offsetof(struct tg_config, tcp.dsack) ||
	       f->offset == offsetof(struct tg_config, tcp.tlp) ||
	       f->offset == offsetof(struct tg_config, tcp.limited_transmit) ||
	       f->offset == offsetof(struct tg_config, tcp.prr) ||
	       f->offset == offsetof(struct tg_config, tcp.undo) ||
	       f->offset == offsetof(struct tg_config, tcp.hystart) ||
	       f->offset == offsetof(struct tg_config, tcp.pacing) ||
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

/* An algorithm's name. False: what comes is none. */
static bool take_cc(struct cursor *at, struct tg_config *cfg)
{
	struct cursor c = *at;
	const char *w, *name;
	uint32_t n = cur_word(&c, &w);

	for (unsigned cc = 0; (name = tg_cc_name(cc)); cc++)
		if (word_is(w, n, name)) {
			cfg->tcp.cc = (uint8_t)cc;
			*at = c;
			return true;
		}
	return false;
}

static bool parse_cc(struct drill *d, struct tg_config *cfg)
{
	cur_blanks(&d->c);
	if (!take_cc(&d->c, cfg))
		return drill_error_at(d, "the name of an algorithm is expected here");
	return true;
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
	if (f->offset == offsetof(struct tg_config, tcp.cc))
		return parse_cc(d, &d->cfg);
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
	uint8_t on_from; /* of a switch: on from this value, 0 from 1 */
} sysctls[] = {{"net.ipv4.tcp_timestamps", "tcp.timestamps", 0, 0, 1, 0},
	{"net.ipv4.tcp_sack", "tcp.sack", 0, 0, 1, 0},
	{"net.ipv4.tcp_dsack", "tcp.dsack", 0, 0, 1, 0},
	{"net.ipv4.tcp_recovery", "tcp.recovery", 1, 0, 1, 0},
	{"net.ipv4.tcp_early_retrans", "tcp.tlp", 0, 0, 1, 3},
	{"net.ipv4.tcp_frto", "tcp.frto", 1, 0, 1, 0},
	{"net.ipv4.tcp_max_reordering", "tcp.max_reordering", 1, 0, 1, 0},
	{"net.ipv4.tcp_window_scaling", "tcp.window_scaling", 0, 0, 1, 0},
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_min_bytes", 1, 0, 3, 0},
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_bytes", 1, 1, 3, 0},
	{"net.ipv4.tcp_rmem", "tcp.rcvbuf_max_bytes", 1, 2, 3, 0},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_min_bytes", 1, 0, 3, 0},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_bytes", 1, 1, 3, 0},
	{"net.ipv4.tcp_wmem", "tcp.sndbuf_max_bytes", 1, 2, 3, 0},
	{"net.ipv4.tcp_notsent_lowat", "tcp.notsent_lowat_bytes", 1, 0, 1, 0},
	{"net.ipv4.tcp_moderate_rcvbuf", "tcp.moderate_rcvbuf", 0, 0, 1, 0},
	{"net.ipv4.tcp_mem", "tcp.mem_pressure_bytes", 4096, 1, 3, 0},
	{"net.ipv4.tcp_mem", "tcp.mem_high_bytes", 4096, 2, 3, 0},
	{"net.ipv4.tcp_tw_reuse", "tcp.tw_reuse", 1, 0, 1, 0},
	{"net.ipv4.ip_local_port_range", "tcp.port_first", 1, 0, 2, 0},
	{"net.ipv4.ip_local_port_range", "tcp.port_last", 1, 1, 2, 0},
	{"net.ipv4.tcp_syncookies", "tcp.syncookies", 1, 0, 1, 0},
	{"net.ipv4.tcp_fin_timeout", "tcp.fin_wait_2_ns", NS_PER_SEC, 0, 1, 0},
	{"net.ipv4.tcp_keepalive_time", "tcp.keepalive_idle_ns", NS_PER_SEC, 0, 1, 0},
	{"net.ipv4.tcp_keepalive_intvl", "tcp.keepalive_interval_ns", NS_PER_SEC, 0, 1, 0},
	{"net.ipv4.tcp_keepalive_probes", "tcp.keepalive_probes", 1, 0, 1, 0},
	{"net.ipv4.tcp_retries1", "tcp.r1_retransmits", 1, 0, 1, 0},
	{"net.ipv4.tcp_tw_reuse", "tcp.tw_reuse", 1, 0, 1, 0},
	{"net.ipv4.ip_local_port_range", "tcp.port_first", 1, 0, 2, 0},
	{"net.ipv4.ip_local_port_range", "tcp.port_last", 1, 1, 2, 0},
	{"net.ipv4.tcp_syncookies", "tcp.syncookies", 1, 0, 1, 0},
	{"net.ipv4.tcp_max_syn_backlog", "tcp.max_half_open", 1, 0, 1, 0},
	{"net.ipv4.tcp_max_tw_buckets", "tcp.max_time_wait", 1, 0, 1, 0},
	{"net.ipv4.tcp_rto_min_us", "tcp.rto_min_ns", NS_PER_US, 0, 1, 0},
	{"net.ipv4.tcp_congestion_control", "tcp.cc", 1, 0, 1, 0},
	{"net.ipv4.tcp_slow_start_after_idle", "tcp.cwnd_validation", 0, 0, 1, 0},
	{"net.ipv4.tcp_mtu_probing", "tcp.mtu_probing", 1, 0, 1, 0},
	{"net.ipv4.tcp_base_mss", "tcp.mtu_base", 1, 0, 1, 0},
	{"net.ipv4.tcp_mtu_probe_floor", "tcp.mtu_floor", 1, 0, 1, 0},
	{"net.ipv4.tcp_probe_interval", "tcp.mtu_probe_interval_ns", NS_PER_SEC, 0, 1, 0},
	{"net.ipv4.tcp_ecn", "tcp.ecn", 1, 0, 1, 0},
	{"net.ipv4.ip_no_pmtu_disc", "ip.no_pmtu_disc", 0, 0, 1, 0},
	{"net.ipv4.route.min_pmtu", "ip.min_pmtu", 1, 0, 1, 0},
	{"net.ipv4.route.mtu_expires", "ip.pmtu_expires_ns", NS_PER_SEC, 0, 1, 0},
	{"net.ipv4.ip_default_ttl", "ip.default_ttl", 1, 0, 1, 0}};

static size_t sysctl_find(const char *w, uint32_t n)
{
	size_t i = 0;

	while (i < ARRAY_LEN(sysctls) && !word_is(w, n, sysctls[i].name))
		i++;
	return i;
}

/* What the setting's number is here. */
static uint64_t sysctl_value(size_t i, uint64_t v)
{
	return sysctls[i].factor ? v * sysctls[i].factor : v >= max_u32(sysctls[i].on_from, 1);
}

static uint32_t text_bytes(const char *text)
{
	uint32_t n = 0;

	while (text[n] && n < 200)
		n++;
	return n;
}

#define SYSCTL_NUMBERS 3

/* Sets the fields of sysctl i, which may be several: rows of one name follow one another. */
static bool sysctl_apply(struct tg_config *c, size_t i, const uint64_t v[SYSCTL_NUMBERS])
{
	const char *name = sysctls[i].name;

	for (; i < ARRAY_LEN(sysctls) && word_is(name, text_bytes(name), sysctls[i].name); i++) {
		const struct field *f = field_named(sysctls[i].field);
		uint64_t n = sysctl_value(i, v[sysctls[i].take]);

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
	if (field_named(sysctls[i].field)->offset == offsetof(struct tg_config, tcp.cc))
		return take_cc(&at, c) && at.at == at.end;
	for (uint8_t k = 0; k < sysctls[i].of; k++) {
		cur_blanks(&at);
		if (!cur_uint(&at, UINT32_MAX, &v[k]))
			return false;
	}
	return at.at == at.end && sysctl_apply(c, i, v);
}

/* net.ipv4.tcp_sack, net/ipv4/tcp_sack or /proc/sys/net/ipv4/tcp_sack: where it stands in the
 * table, or the table's length. */
static size_t parse_sysctl_name(struct drill *d, const char **w, uint32_t *n)
{
	const char *part;
	size_t i = 0;

	cur_take(&d->c, "/proc/sys/");
	*w = d->c.at;
	while (cur_word(&d->c, &part) && (cur_take(&d->c, ".") || cur_take(&d->c, "/")))
		;
	*n = (uint32_t)(d->c.at - *w);
	for (; i < ARRAY_LEN(sysctls); i++) {
		const char *name = sysctls[i].name;
		uint32_t k = 0;

		while (k < *n && (name[k] == (*w)[k] || (name[k] == '.' && (*w)[k] == '/')))
			k++;
		if (k == *n && !name[k])
			break;
	}
	return i;
}

/* NAME=VALUE or NAME="A B C". */
static bool parse_assignment(struct drill *d, struct tg_config *cfg)
{
	struct drill_pos pos = cur_pos(&d->c);
	uint64_t v[SYSCTL_NUMBERS];
	const struct field *f = NULL;
	const char *w, *quote;
	uint32_t n;
	size_t i = parse_sysctl_name(d, &w, &n);

	if (!n)
		return drill_error(d, pos, "a setting is expected here", "", 0);
	if (i == ARRAY_LEN(sysctls))
		return drill_error(d, pos, "no setting answers to '%S'", w, n);
	f = field_named(sysctls[i].field);
	ASSERT(f);
	if (!cur_take(&d->c, "="))
		return drill_error_at(d, "'=' is expected here");
	quote = cur_take(&d->c, "\"") ? "\"" : cur_take(&d->c, "'") ? "'" : NULL;
	if (f->offset == offsetof(struct tg_config, tcp.cc)) {
		if (!parse_cc(d, cfg))
			return false;
		return !quote || cur_take(&d->c, quote) ||
		       drill_error_at(d, "this value should end here");
	}
	for (uint8_t k = 0; k < sysctls[i].of; k++) {
		cur_blanks(&d->c);
		pos = cur_pos(&d->c);
		if (!cur_uint(&d->c, UINT32_MAX, &v[k]))
			return drill_error(d, pos, "a number is expected here", "", 0);
	}
	if (quote && !cur_take(&d->c, quote))
		return drill_error_at(d, "this value should end here");
	if (!sysctl_apply(cfg, i, v))
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
		if (!cur_take(&d->c, "\\\n"))
			cur_next(&d->c);
}

enum command { COMMAND_SET, COMMAND_IDLE, COMMAND_UNKNOWN };

/* A command's name, perhaps with a path. Those that set are sysctl and packetdrill's
 * set_sysctls.py. */
static enum command parse_command_name(struct drill *d, bool effect)
{
	static const struct {
		const char *name;
		enum command what;
	} known[] = {{"sysctl", COMMAND_SET}, {"set_sysctls.py", COMMAND_SET},
		{"true", COMMAND_IDLE}, {":", COMMAND_IDLE}, {"echo", COMMAND_IDLE},
		{"sync", COMMAND_IDLE}};
	const char *at = d->c.at, *base = at;
	struct cursor restore = d->c;

	while (cur_peek(&d->c) > ' ' && cur_peek(&d->c) != '`' && cur_peek(&d->c) != ';' &&
		cur_peek(&d->c) != '&')
		cur_next(&d->c);
	for (const char *p = at; p < d->c.at; p++)
		if (*p == '/')
			base = p + 1;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (word_is(base, (uint32_t)(d->c.at - base), known[i].name))
			return known[i].what;
	/* What packetdrill's scripts end with: nothing of the machine was changed. */
	if (!effect && cur_take(&restore, "/tmp/sysctl_restore_"))
		return COMMAND_IDLE;
	return COMMAND_UNKNOWN;
}

/* What stands behind the name of a command that sets. */
static bool parse_setting(struct drill *d, struct tg_config *cfg)
{
	struct drill_pos pos = cur_pos(&d->c);
	struct cursor saved = d->c;
	const char *w;
	uint32_t n;

	if (cur_take(&d->c, "-q") || cur_take(&d->c, "-w") || take_redirection(d))
		return true;
	if (d->o.skip_commands && parse_sysctl_name(d, &w, &n) == ARRAY_LEN(sysctls)) {
		if (d->c.at == saved.at)
			return drill_error(d, pos, "a setting is expected here", "", 0);
		if (cur_take(&d->c, "=\""))
			while (cur_peek(&d->c) && !cur_take(&d->c, "\""))
				cur_next(&d->c);
		while (cur_peek(&d->c) > ' ' && cur_peek(&d->c) != '`' && cur_peek(&d->c) != ';' &&
			cur_peek(&d->c) != '&')
			cur_next(&d->c);
		return true;
	}
	d->c = saved;
	return parse_assignment(d, cfg);
}

bool drill_parse_command(struct drill *d, bool effect)
{
	struct drill_pos open = cur_pos(&d->c), pos;
	struct tg_config scratch = d->cfg, *cfg = effect ? &d->cfg : &scratch;
	bool fresh = true; /* at the start of a command */
	enum command what;

	for (;;) {
		while (take_separator(d, &fresh))
			;
		if (cur_take(&d->c, "`"))
			return true;
		if (d->c.at == d->c.end)
			return drill_error(d, open, "this command does not end", "", 0);
		if (!fresh) {
			if (!parse_setting(d, cfg))
				return false;
			continue;
		}
		fresh = false;
		pos = cur_pos(&d->c);
		what = parse_command_name(d, effect);
		if (what == COMMAND_UNKNOWN && !d->o.skip_commands)
			return drill_error(d, pos, "of commands only sysctl is understood", "", 0);
		if (what != COMMAND_SET)
			skip_arguments(d);
	}
}
