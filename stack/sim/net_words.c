/* See net_words.h. */
#include "sim/net_words.h"

#include "tapglass_host.h"

bool net_fail(struct net_text *t, const char *why)
{
	size_t n = 0;

	if (t->r->message[0]) /* the first complaint counts */
		return false;
	for (; why[n] && n + 1 < sizeof(t->r->message); n++)
		t->r->message[n] = why[n];
	t->r->error_line = t->line;
	return false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

bool net_line(struct net_text *t)
{
	if (!t->limit) { /* the first: the whole text */
		t->next = t->at;
		t->limit = t->end;
	}
	if (t->next >= t->limit)
		return false;
	t->line++;
	t->at = t->end = t->next;
	while (t->end < t->limit && *t->end != '\n')
		t->end++;
	t->next = t->end + 1;
	for (const char *p = t->at; p < t->end; p++)
		if (*p == '#')
			t->end = p;
	return true;
}

bool net_more(struct net_text *t)
{
	while (t->at < t->end && is_space(*t->at))
		t->at++;
	return t->at < t->end;
}

bool net_end(struct net_text *t)
{
	return !net_more(t) || net_fail(t, "something is left over at the end of the line");
}

/* Bytes of the next word. */
static size_t word_bytes(struct net_text *t)
{
	const char *p;

	net_more(t);
	p = t->at;
	while (p < t->end && !is_space(*p))
		p++;
	return (size_t)(p - t->at);
}

bool net_word(struct net_text *t, const char *word)
{
	size_t n = word_bytes(t), k = 0;

	while (word[k] && k < n && word[k] == t->at[k])
		k++;
	if (word[k] || k != n)
		return false;
	t->at += n;
	return true;
}

bool net_next_is_number(struct net_text *t)
{
	return word_bytes(t) > 0 && ((*t->at >= '0' && *t->at <= '9') || *t->at == '.');
}

bool net_name(struct net_text *t, char out[TG_SIM_NAME_BYTES])
{
	size_t n = word_bytes(t);

	if (n == 0 || n >= TG_SIM_NAME_BYTES)
		return net_fail(t, "wants a name of at most 15 bytes");
	memset(out, 0, TG_SIM_NAME_BYTES);
	memcpy(out, t->at, n);
	t->at += n;
	return true;
}

/* ---- Numbers ---- */

struct unit {
	const char *name;
	uint64_t factor;
};

/* A decimal number at *p in millionths; at most ten digits before the point, six behind. */
static bool millionths(const char **p, const char *end, uint64_t *out)
{
	uint64_t v = 0, scale = 1000000;
	const char *s = *p;
	bool digits = false;

	for (; s < end && *s >= '0' && *s <= '9'; s++, digits = true) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > 9999999999u)
			return false;
	}
	v *= scale;
	if (s < end && *s == '.') {
		for (s++; s < end && *s >= '0' && *s <= '9'; s++, digits = true) {
			scale /= 10;
			if (scale == 0)
				return false;
			v += scale * (uint64_t)(*s - '0');
		}
	}
	*p = s;
	*out = v;
	return digits;
}

static bool ends_with_unit(const char *p, const char *end, const char *name)
{
	while (p < end && *name && *p == *name) {
		p++;
		name++;
	}
	return p == end && !*name;
}

/* A number with one of the units, which fill the text from *p to end. */
static bool measured(
	const char *p, const char *end, const struct unit *u, size_t n, uint64_t max, uint64_t *out)
{
	uint64_t v;

	if (!millionths(&p, end, &v))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!ends_with_unit(p, end, u[i].name))
			continue;
		if (v / 1000000 > max / u[i].factor)
			return false;
		/* whole and fraction apart: neither overflows */
		*out = v / 1000000 * u[i].factor + v % 1000000 * u[i].factor / 1000000;
		return *out <= max;
	}
	return v == 0 && p == end && (*out = 0, true);
}

static bool take_measured(struct net_text *t, const struct unit *u, size_t n, uint64_t max,
	uint64_t *out, const char *why)
{
	size_t bytes = word_bytes(t);

	if (!measured(t->at, t->at + bytes, u, n, max, out))
		return net_fail(t, why);
	t->at += bytes;
	return true;
}

static const struct unit time_units[] = {
	{"s", NS_PER_SEC}, {"ms", NS_PER_MS}, {"us", NS_PER_US}, {"ns", 1}};
#define TIME_MAX_NS (100000 * NS_PER_SEC)

bool net_time(struct net_text *t, uint64_t *out)
{
	return take_measured(t, time_units, ARRAY_LEN(time_units), TIME_MAX_NS, out,
		"wants a time such as 5s, 20ms or 100us");
}

bool net_rate(struct net_text *t, uint64_t *out)
{
	static const struct unit u[] = {
		{"bit", 1}, {"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}};

	return take_measured(
		t, u, ARRAY_LEN(u), 1000000000000, out, "wants a rate such as 10mbit or 1gbit");
}

bool net_size(struct net_text *t, uint64_t *out)
{
	static const struct unit u[] = {{"b", 1}, {"kb", 1000}, {"mb", 1000000}, {"gb", 1000000000},
		{"kib", 1024}, {"mib", 1048576}, {"gib", 1073741824}};

	return take_measured(t, u, ARRAY_LEN(u), 1000000000000000, out,
		"wants a size such as 1448b, 64kb or 4mib");
}

bool net_ppm(struct net_text *t, uint32_t *out)
{
	static const struct unit u[] = {{"%", 10000}};
	uint64_t v;

	if (!take_measured(t, u, 1, 1000000, &v, "wants a percentage such as 2% or .01%"))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool net_count(struct net_text *t, uint64_t min, uint64_t max, uint64_t *out)
{
	static const struct unit u[] = {{"", 1}};

	if (!take_measured(t, u, 1, max, out, "wants a number"))
		return false;
	return *out >= min || net_fail(t, "this number is too small");
}

bool net_span(struct net_text *t, uint64_t *from, uint64_t *to)
{
	size_t n = word_bytes(t), dots = 0;

	while (dots + 1 < n && (t->at[dots] != '.' || t->at[dots + 1] != '.'))
		dots++;
	if (dots + 2 >= n ||
		!measured(t->at, t->at + dots, time_units, ARRAY_LEN(time_units), TIME_MAX_NS,
			from) ||
		!measured(t->at + dots + 2, t->at + n, time_units, ARRAY_LEN(time_units),
			TIME_MAX_NS, to) ||
		*from >= *to)
		return net_fail(t, "wants a span of time such as 1s..2.5s");
	t->at += n;
	return true;
}

/* ---- Hosts ---- */

static bool on_off(struct net_text *t, bool *out)
{
	*out = net_word(t, "on");
	return *out || net_word(t, "off") || net_fail(t, "wants on or off");
}

static bool buffer(struct net_text *t, uint32_t *out)
{
	uint64_t v;

	if (!net_size(t, &v))
		return false;
	if (v < 4096 || v > 1u << 30)
		return net_fail(t, "a buffer has 4 KiB to 1 GiB");
	*out = (uint32_t)v;
	return true;
}

static bool initial_window(struct net_text *t, struct tg_config *c)
{
	uint64_t v;

	if (!net_count(t, 1, 255, &v))
		return false;
	c->tcp.initial_window_segs = (uint8_t)v;
	return true;
}

bool net_cc(const char *name, uint8_t *out)
{
	for (unsigned i = 0; tg_cc_name(i); i++) {
		const char *a = name, *b = tg_cc_name(i);

		while (*a && *a == *b) {
			a++;
			b++;
		}
		*out = (uint8_t)i;
		if (*a == *b)
			return true;
	}
	return false;
}

static bool congestion_control(struct net_text *t, struct tg_config *c)
{
	char name[TG_SIM_NAME_BYTES];

	return net_name(t, name) &&
	       (net_cc(name, &c->tcp.cc) || net_fail(t, "no such congestion control"));
}

/* tcp_ecn=1: Linux's names, without their "net.ipv4.". */
static bool sysctl(struct net_text *t, struct tg_config *c)
{
	static const char prefix[] = "net.ipv4.";
	char text[96];
	size_t n = word_bytes(t), value = 0, k = sizeof(prefix) - 1;

	while (value < n && t->at[value] != '=')
		value++;
	if (value == n || n + sizeof(prefix) > sizeof(text))
		return net_fail(t, "no such property of a host");
	memcpy(text, prefix, k);
	memcpy(text + k, t->at, n);
	text[k + n] = 0;
	text[k + value] = 0;
	t->at += n;
	return tg_config_sysctl(c, text, text + k + value + 1) ||
	       net_fail(t, "no such setting, or a value it cannot have");
}

static bool host_option(struct net_text *t, struct tg_config *c)
{
	if (net_word(t, "cc"))
		return congestion_control(t, c);
	if (net_word(t, "pacing"))
		return on_off(t, &c->tcp.pacing);
	if (net_word(t, "hystart"))
		return on_off(t, &c->tcp.hystart);
	if (net_word(t, "prr"))
		return on_off(t, &c->tcp.prr);
	if (net_word(t, "sack"))
		return on_off(t, &c->tcp.sack);
	if (net_word(t, "timestamps"))
		return on_off(t, &c->tcp.timestamps);
	if (net_word(t, "window-scaling"))
		return on_off(t, &c->tcp.window_scaling);
	if (net_word(t, "fast-path"))
		return on_off(t, &c->tcp.fast_path);
	if (net_word(t, "rcvbuf"))
		return buffer(t, &c->tcp.rcvbuf_bytes);
	if (net_word(t, "sndbuf"))
		return buffer(t, &c->tcp.sndbuf_bytes);
	if (net_word(t, "delack"))
		return net_time(t, &c->tcp.delack_ns);
	if (net_word(t, "rto-min"))
		return net_time(t, &c->tcp.rto_min_ns);
	if (net_word(t, "give-up"))
		return net_time(t, &c->tcp.r2_ns);
	if (net_word(t, "initial-window"))
		return initial_window(t, c);
	return sysctl(t, c);
}

bool net_host_options(struct net_text *t, struct tg_config *c)
{
	while (net_more(t))
		if (!host_option(t, c))
			return false;
	return true;
}
