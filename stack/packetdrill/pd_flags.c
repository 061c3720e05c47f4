/* The packetdrill adapter: the text of --so_flags, items with commas between them.
 *
 * ADDRESS/PREFIX is an address of the stack: the first, and others in which more than the prefix is
 * set. NETWORK/PREFIX is a route on the link. NAME=VALUE is a setting: a short name of the table
 * below, a name of packet scripts' `//@ config` (tcp.delack_ns=40ms), or Linux's sysctl
 * (net.ipv4.tcp_sack=0, or tcp_sack=0 for short). The latter two are the packet-script engine's:
 * one list of them for both. */
#define _GNU_SOURCE
#include "packetdrill/pd.h"

#include "sim/drill.h"
#include "tapglass_host.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEM_BYTES 128

/* Short names: what stands for them among the settings of packet scripts, %s being the value. */
static const struct {
	const char *name, *config;
} short_names[] = {{"wnd", "tcp.rcvbuf_bytes %s"}, {"sndbuf", "tcp.sndbuf_bytes %s"},
	{"wscale", "tcp.window_scaling %s"}, {"ts", "tcp.timestamps %s"}, {"sack", "tcp.sack %s"},
	{"iw", "tcp.initial_window_segs %s"}, {"rto_ms", "tcp.rto_initial_ns %sms"},
	{"rto_min_ms", "tcp.rto_min_ns %sms"}, {"rto_max_ms", "tcp.rto_max_ns %sms"},
	{"delack_ms", "tcp.delack_ns %sms"}, {"msl_ms", "tcp.msl_ns %sms"}};

/* ---- Numbers and addresses ------------------------------------------------------------------- */

static bool take_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	struct cursor c = {text, text + strlen(text), text, 1};

	return cur_uint(&c, most, out) && *out >= least && c.at == c.end;
}

static uint32_t mask_of(uint8_t prefix)
{
	return prefix ? UINT32_MAX << (32 - prefix) : 0;
}

/* A.B.C.D/N. */
static bool take_address(const char *text, uint32_t *ip, uint8_t *prefix)
{
	const char *slash = strchr(text, '/');
	char buf[16];
	struct tg_ip a;
	uint64_t n;

	if (!slash || (size_t)(slash - text) >= sizeof(buf))
		return false;
	memcpy(buf, text, (size_t)(slash - text));
	buf[slash - text] = 0;
	if (!tg_ip_parse(buf, &a) || !take_number(slash + 1, 0, 32, &n))
		return false;
	*ip = tg_ip4_value(&a);
	*prefix = (uint8_t)n;
	return true;
}

static bool add_address(struct pd_flags *f, const char *item)
{
	uint32_t ip;
	uint8_t prefix;

	if (!take_address(item, &ip, &prefix))
		return false;
	if (!f->n_addrs || ip & ~mask_of(prefix)) {
		if (f->n_addrs == PD_ROUTES || !ip)
			return false;
		f->addr[f->n_addrs].ip = ip;
		f->addr[f->n_addrs++].prefix = prefix;
		return true;
	}
	if (f->n_routes == PD_ROUTES)
		return false;
	f->route[f->n_routes].ip = ip;
	f->route[f->n_routes++].prefix = prefix;
	return true;
}

/* ---- Settings -------------------------------------------------------------------------------- */

/* One setting in the words of packet scripts, as behind //@ config. */
static bool take_script(struct pd_flags *f, const char *text)
{
	struct tg_drill_result *r = calloc(1, sizeof(*r));
	struct drill *d = calloc(1, sizeof(*d));
	bool good = false;

	if (r && d) {
		d->r = r;
		d->cfg = f->cfg;
		d->c = (struct cursor){text, text + strlen(text), text, 1};
		good = drill_parse_config(d) && d->c.at == d->c.end;
		if (good)
			f->cfg = d->cfg;
	}
	free(r);
	free(d);
	return good;
}

static bool take_config(struct pd_flags *f, const char *name, const char *value)
{
	char text[2 * ITEM_BYTES];

	snprintf(text, sizeof(text), "%s %s", name, value);
	return take_script(f, text);
}

static bool take_sysctl(struct pd_flags *f, const char *name, const char *value)
{
	char text[2 * ITEM_BYTES];

	snprintf(
		text, sizeof(text), "%s%s", strncmp(name, "net.", 4) == 0 ? "" : "net.ipv4.", name);
	return tg_config_sysctl(&f->cfg, text, value);
}

static bool take_short(struct pd_flags *f, const char *name, const char *value, bool *known)
{
	char text[2 * ITEM_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(short_names); i++) {
		const char *config = short_names[i].config, *at = strstr(config, "%s");

		if (strcmp(name, short_names[i].name) != 0)
			continue;
		*known = true;
		/* A unit of its own would make "40mss" of it. */
		if (strspn(value, "0123456789") != strlen(value) || !*value)
			return false;
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - config), config, value, at + 2);
		return take_script(f, text);
	}
	*known = false;
	return false;
}

static bool take_own(struct pd_flags *f, const char *name, const char *value, bool *known)
{
	uint64_t v = 0;
	bool good;

	*known = true;
	if (strcmp(name, "mtu") == 0) {
		good = take_number(value, 68, UINT16_MAX, &v);
		f->mtu = (uint32_t)v;
		return good;
	}
	if (strcmp(name, "seed") == 0) {
		good = take_number(value, 0, UINT64_MAX / 16, &v);
		memset(f->cfg.seed, 1, sizeof(f->cfg.seed)); /* zeros alone are refused */
		memcpy(f->cfg.seed, &v, sizeof(v));
		return good;
	}
	if (strcmp(name, "patience_s") == 0) {
		good = take_number(value, 1, 1000000, &v);
		f->patience_ns = v * NS_PER_SEC;
		return good;
	}
	if (strcmp(name, "idle_ms") == 0) {
		good = take_number(value, 0, 1000000, &v);
		f->idle_ms = (uint32_t)v;
		return good;
	}
	if (strcmp(name, "cc") == 0)
		return take_config(f, "tcp.cc", value);
	*known = false;
	return false;
}

static bool take_setting(struct pd_flags *f, char *item)
{
	char *value = strchr(item, '=');
	bool known, good;

	if (!value || value == item)
		return false;
	*value++ = 0;
	good = take_own(f, item, value, &known);
	if (!known)
		good = take_short(f, item, value, &known);
	if (!known && (strncmp(item, "tcp.", 4) == 0 || strncmp(item, "ip.", 3) == 0 ||
			      strncmp(item, "udp.", 4) == 0))
		good = take_config(f, item, value);
	else if (!known)
		good = take_sysctl(f, item, value);
	value[-1] = '=';
	return good;
}

/* ---- The text -------------------------------------------------------------------------------- */

static void set_defaults(struct pd_flags *f)
{
	memset(f, 0, sizeof(*f));
	tg_config_default(&f->cfg);
	/* As packet scripts: the same numbers in every run, and in both runners. */
	for (uint8_t i = 0; i < sizeof(f->cfg.seed); i++)
		f->cfg.seed[i] = (uint8_t)(i + 1);
	f->cfg.tcp.rcvbuf_bytes = f->cfg.tcp.sndbuf_bytes = 4u << 20;
	f->cfg.tcp.rcvbuf_max_bytes = f->cfg.tcp.sndbuf_max_bytes = 6u << 20;
	f->mtu = 1500;
	f->patience_ns = 10000 * NS_PER_SEC; /* an idle connection is probed after 7,200 */
	f->idle_ms = 250;
}

bool pd_parse_flags(const char *text, struct pd_flags *f, char *why, size_t why_bytes)
{
	char item[ITEM_BYTES];

	set_defaults(f);
	while (text && *text) {
		size_t n = strcspn(text, ",");

		snprintf(why, why_bytes, "\"%.*s\" is not understood", (int)n, text);
		if (n >= sizeof(item))
			return false;
		memcpy(item, text, n);
		item[n] = 0;
		text += n + (text[n] == ',');
		if (n && !(strchr(item, '=') ? take_setting(f, item) : add_address(f, item)))
			return false;
	}
	if (!f->n_addrs)
		add_address(f, "192.168.0.1/16");
	if (!f->n_routes)
		add_address(f, "0.0.0.0/0");
	return true;
}
