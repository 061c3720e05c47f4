/* The packet-script engine: --options of a script's head and of a command line: the addresses, the
 * tolerances and the definitions of a run. Some of packetdrill's mean nothing here, and are taken;
 * some would, and are refused. */
#include "sim/drill.h"

enum option {
	OPT_LOCAL_IP,
	OPT_REMOTE_IP,
	OPT_NETMASK_IP,
	OPT_IP_VERSION,
	OPT_MTU,
	OPT_TOLERANCE_USECS,
	OPT_TOLERANCE_PERCENT,
	OPT_TS_TICK,
	OPT_BIND_PORT,
	OPT_CONNECT_PORT,
	OPT_STRICT_SEGMENTS,
	OPT_DRY_RUN,
	OPT_DEFINE,
	OPT_IDLE,      /* a value that changes nothing here */
	OPT_IDLE_FLAG, /* the same without a value */
	OPT_REFUSED    /* packetdrill's own business */
};

static const struct {
	const char *name;
	enum option what;
} names[] = {{"local_ip", OPT_LOCAL_IP}, {"remote_ip", OPT_REMOTE_IP},
	{"netmask_ip", OPT_NETMASK_IP}, {"ip_version", OPT_IP_VERSION}, {"mtu", OPT_MTU},
	{"tolerance_usecs", OPT_TOLERANCE_USECS}, {"tolerance_percent", OPT_TOLERANCE_PERCENT},
	{"tcp_ts_tick_usecs", OPT_TS_TICK}, {"bind_port", OPT_BIND_PORT},
	{"connect_port", OPT_CONNECT_PORT}, {"strict_segments", OPT_STRICT_SEGMENTS},
	{"dry_run", OPT_DRY_RUN}, {"define", OPT_DEFINE}, {"gateway_ip", OPT_IDLE},
	{"speed", OPT_IDLE}, {"mss", OPT_IDLE}, {"code_command", OPT_IDLE},
	{"code_format", OPT_IDLE}, {"code_sockopt", OPT_IDLE}, {"send_omit_free", OPT_IDLE_FLAG},
	{"debug", OPT_IDLE_FLAG}, {"verbose", OPT_IDLE_FLAG}, {"init_scripts", OPT_REFUSED},
	{"non_fatal", OPT_REFUSED}, {"tcp_ts_ecr_scaled", OPT_REFUSED}, {"is_anyip", OPT_REFUSED},
	{"so_filename", OPT_REFUSED}, {"so_flags", OPT_REFUSED}, {"wire_client", OPT_REFUSED},
	{"wire_server", OPT_REFUSED}, {"wire_server_ip", OPT_REFUSED},
	{"wire_server_at", OPT_REFUSED}, {"wire_server_port", OPT_REFUSED},
	{"wire_client_dev", OPT_REFUSED}, {"wire_server_dev", OPT_REFUSED}};

/* ---- Values ---------------------------------------------------------------------------------- */

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

static bool prefix(struct cursor *c, uint8_t *out)
{
	uint64_t v;

	if (!cur_take(c, "/"))
		return true;
	if (!cur_uint(c, 32, &v))
		return false;
	if (out)
		*out = (uint8_t)v;
	return true;
}

static bool netmask(struct cursor *c, uint8_t *out)
{
	uint32_t mask;

	if (!parse_address(c, &mask) || (~mask & (~mask + 1)))
		return false;
	for (*out = 0; mask; mask <<= 1)
		++*out;
	return true;
}

/* Percent with at most one digit behind the point, as tenths. */
static bool permille(struct cursor *c, uint32_t *out)
{
	uint64_t whole, tenth = 0;

	if (!cur_uint(c, 1000, &whole) || (cur_take(c, ".") && !cur_uint(c, 9, &tenth)))
		return false;
	*out = (uint32_t)(whole * 10 + tenth);
	return true;
}

/* NAME=VALUE, VALUE up to the end. */
static bool define(struct tg_drill_options *o, struct cursor *c)
{
	struct tg_drill_define f = {0};

	f.name_bytes = cur_word(c, &f.name);
	if (!f.name_bytes || !cur_take(c, "=") || c->at == c->end)
		return false;
	f.value = c->at;
	f.value_bytes = (uint32_t)(c->end - c->at);
	c->at = c->end;
	for (uint32_t i = 0; i < o->n_defines; i++)
		if (o->define[i].name_bytes == f.name_bytes &&
			memcmp(o->define[i].name, f.name, f.name_bytes) == 0)
			return true; /* what was said first counts: the command line */
	if (o->n_defines == TG_DRILL_DEFINES)
		return false;
	o->define[o->n_defines++] = f;
	return true;
}

static bool number(struct tg_drill_options *o, struct cursor *c, enum option what)
{
	uint64_t v;

	if (!cur_uint(c, 1000000000, &v))
		return false;
	if (what == OPT_TOLERANCE_USECS)
		o->tolerance_us = (uint32_t)v;
	else if (what == OPT_TS_TICK && (v == 0 || v == 1000))
		o->ts_unchecked = v == 0;
	else if (what == OPT_MTU && v >= 68 && v <= UINT16_MAX)
		o->mtu = (uint32_t)v;
	else if (what == OPT_BIND_PORT && v >= 1 && v <= UINT16_MAX)
		o->bind_port = (uint16_t)v;
	else if (what == OPT_CONNECT_PORT && v >= 1 && v <= UINT16_MAX)
		o->connect_port = (uint16_t)v;
	else
		return false;
	return true;
}

static bool value(struct tg_drill_options *o, struct cursor *c, enum option what)
{
	switch (what) {
	case OPT_LOCAL_IP: return parse_address(c, &o->local_ip) && prefix(c, &o->prefix_len);
	case OPT_REMOTE_IP: return parse_address(c, &o->remote_ip) && prefix(c, NULL);
	case OPT_NETMASK_IP: return netmask(c, &o->prefix_len);
	case OPT_IP_VERSION: return cur_take(c, "ipv4");
	case OPT_TOLERANCE_PERCENT: return permille(c, &o->tolerance_permille);
	case OPT_DEFINE: return define(o, c);
	case OPT_IDLE: c->at = c->end; return true;
	case OPT_TOLERANCE_USECS:
	case OPT_TS_TICK:
	case OPT_MTU:
	case OPT_BIND_PORT:
	case OPT_CONNECT_PORT: return number(o, c, what);
	case OPT_STRICT_SEGMENTS:
	case OPT_DRY_RUN:
	case OPT_IDLE_FLAG:
	case OPT_REFUSED: break;
	}
	return false;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool find(const char *w, uint32_t n, enum option *what)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (word_is(w, n, names[i].name)) {
			*what = names[i].what;
			return true;
		}
	return false;
}

bool tg_drill_option(struct tg_drill_options *o, const char *text, size_t n)
{
	struct cursor c = {text, text + n, text, 1};
	enum option what;
	const char *w;
	uint32_t bytes;

	if (!cur_take(&c, "--"))
		return false;
	bytes = cur_word(&c, &w);
	if (!bytes || !find(w, bytes, &what))
		return false;
	if (what == OPT_STRICT_SEGMENTS)
		o->strict_segments = true;
	if (what == OPT_DRY_RUN)
		o->dry_run = true;
	if (what == OPT_STRICT_SEGMENTS || what == OPT_DRY_RUN || what == OPT_IDLE_FLAG)
		return c.at == c.end;
	return cur_take(&c, "=") && value(o, &c, what) && c.at == c.end;
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

/* "--name=value"; quotes keep blanks together. */
static uint32_t option_text(struct drill *d)
{
	const char *at = d->c.at;
	char quote = 0;

	for (; cur_peek(&d->c) && cur_peek(&d->c) != '\n'; cur_next(&d->c)) {
		char ch = cur_peek(&d->c);

		if (quote ? ch == quote : (ch == '"' || ch == '`'))
			quote = quote ? 0 : ch;
		else if (!quote && ch <= ' ')
			break;
	}
	return (uint32_t)(d->c.at - at);
}

bool drill_parse_option(struct drill *d)
{
	struct drill_pos pos = cur_pos(&d->c);
	struct tg_drill_options kept = d->o;
	const char *at = d->c.at, *w;
	uint32_t n = option_text(d);
	struct cursor c = {at + 2, at + n, at, 1};
	uint32_t bytes = cur_word(&c, &w);
	enum option what;

	if (!find(w, bytes, &what))
		return drill_error(d, pos, "unknown option: %S", at, n);
	if (what == OPT_REFUSED)
		return drill_error(d, pos, "this option is not supported here: %S", at, n);
	if (!tg_drill_option(&d->o, at, n))
		return drill_error(d, pos, "bad value of an option: %S", at, n);
	if (d->o.tolerance_fixed) {
		d->o.tolerance_us = kept.tolerance_us;
		d->o.tolerance_permille = kept.tolerance_permille;
	}
	return true;
}

const char *drill_define(const struct drill *d, const char *w, uint32_t n, uint32_t *bytes)
{
	for (uint32_t i = 0; i < d->o.n_defines; i++) {
		const struct tg_drill_define *f = &d->o.define[i];

		if (f->name_bytes == n && memcmp(f->name, w, n) == 0) {
			*bytes = f->value_bytes;
			return f->value;
		}
	}
	return NULL;
}
