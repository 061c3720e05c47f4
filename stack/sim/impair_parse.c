/* Impairments as options of a program, in the spelling of tc(8): "2%", "20ms+-5ms", "10mbit". */
#include "base/base.h"
#include "tapglass_host.h"

#define MAX_DELAY_NS (3600 * NS_PER_SEC)

void tg_impair_default(struct tg_impair *i)
{
	memset(i, 0, sizeof(*i));
	i->queue_pkts = 1000;
}

bool tg_impair_active(const struct tg_impair *i)
{
	return i->drop_ppm || i->dup_ppm || i->reorder_ppm || i->corrupt_ppm || i->delay_ns ||
	       i->jitter_ns || i->rate_bps || i->ce_ppm;
}

static bool refuse(char *err, size_t err_bytes, const char *why)
{
	size_t n = 0;

	for (; err_bytes > 0 && why[n] && n + 1 < err_bytes; n++)
		err[n] = why[n];
	if (err_bytes > 0)
		err[n] = 0;
	return false;
}

/* A decimal number in millionths at *p, which moves past it. False: none there, more than six
 * digits behind the point, or too large. */
static bool number(const char **p, uint64_t *millionths)
{
	const char *s = *p;
	uint64_t v = 0, scale = 1000000;
	bool digits = false;

	for (; *s >= '0' && *s <= '9'; s++, digits = true) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > 1000000000)
			return false;
	}
	v *= scale;
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++, digits = true) {
			scale /= 10;
			if (scale == 0 && *s != '0')
				return false;
			v += scale * (uint64_t)(*s - '0');
		}
	}
	*p = s;
	*millionths = v;
	return digits;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Takes the word at *p if it is there, whatever its case. */
static bool take(const char **p, const char *word)
{
	const char *s = *p;

	while (*word && lower(*s) == *word) {
		s++;
		word++;
	}
	if (*word)
		return false;
	*p = s;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* The longest unit of the table that *p starts with (longer names stand first); 0: none. */
static uint64_t take_unit(const char **p, const struct unit *u, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (take(p, u[i].name))
			return u[i].factor;
	}
	return 0;
}

static bool parse_percent(uint32_t *ppm, const char *value, char *err, size_t err_bytes)
{
	static const char form[] = "wants a percentage such as 2% or .1%";
	uint64_t v;

	if (!number(&value, &v) || !take(&value, "%") || *value)
		return refuse(err, err_bytes, form);
	if (v > 100 * 1000000ull)
		return refuse(err, err_bytes, "is more than 100%");
	if (v % 100)
		return refuse(err, err_bytes, "is finer than one in a million (.0001%)");
	*ppm = (uint32_t)(v / 100);
	return true;
}

/* A time at *p; unit_ns: the unit to assume without one (0: it has to be there), and the one found.
 */
static bool time_at(const char **p, uint64_t *unit_ns, uint64_t *out)
{
	static const struct unit unit[] = {
		{"ms", NS_PER_MS},
		{"us", NS_PER_US},
		{"\xc2\xb5s", NS_PER_US}, /* the micro sign, and Greek mu */
		{"\xce\xbcs", NS_PER_US},
		{"ns", 1},
		{"s", NS_PER_SEC},
	};
	uint64_t v, factor;

	if (!number(p, &v))
		return false;
	factor = take_unit(p, unit, ARRAY_LEN(unit));
	if (factor)
		*unit_ns = factor;
	else if (!*unit_ns && v)
		return false;
	if (v / 1000000 > MAX_DELAY_NS / max_u64(*unit_ns, 1)) {
		*out = UINT64_MAX;
		return true;
	}
	*out = *unit_ns >= 1000000 ? v * (*unit_ns / 1000000) : v * *unit_ns / 1000000;
	return true;
}

static bool parse_delay(struct tg_impair *i, const char *value, char *err, size_t err_bytes)
{
	static const char form[] = "wants a time such as 20ms, 500us or 20ms+-5ms";
	uint64_t unit_ns = 0, delay, jitter = 0;

	if (!time_at(&value, &unit_ns, &delay))
		return refuse(err, err_bytes, form);
	if (take(&value, "+-") || take(&value, "\xc2\xb1")) {
		if (!time_at(&value, &unit_ns, &jitter))
			return refuse(err, err_bytes, form);
	}
	if (*value)
		return refuse(err, err_bytes, form);
	if (delay > MAX_DELAY_NS || jitter > MAX_DELAY_NS)
		return refuse(err, err_bytes, "is more than an hour");
	i->delay_ns = delay;
	i->jitter_ns = jitter;
	return true;
}

static bool parse_rate(struct tg_impair *i, const char *value, char *err, size_t err_bytes)
{
	/* As in tc: bit for bits, bps for bytes a second. */
	static const struct unit unit[] = {
		{"kbit", 1000},
		{"mbit", 1000000},
		{"gbit", 1000000000},
		{"bit", 1},
		{"kbps", 8000},
		{"mbps", 8000000},
		{"gbps", 8000000000},
		{"bps", 8},
	};
	uint64_t v, factor;

	if (!number(&value, &v))
		return refuse(err, err_bytes, "wants a rate such as 10mbit, 1gbit or 500kbit");
	factor = take_unit(&value, unit, ARRAY_LEN(unit));
	if (!factor || *value)
		return refuse(err, err_bytes, "wants a rate such as 10mbit, 1gbit or 500kbit");
	if (v / 1000000 > 1000000000000ull / factor)
		return refuse(err, err_bytes, "is more than 1000gbit");
	v = factor >= 1000000 ? v * (factor / 1000000) : v * factor / 1000000;
	if (v < 8)
		return refuse(err, err_bytes, "is less than a byte a second");
	i->rate_bps = v;
	return true;
}

bool tg_impair_parse(
	struct tg_impair *i, const char *name, const char *value, char *err, size_t err_bytes)
{
	const struct {
		const char *name;
		uint32_t *ppm;
	} share[] = {
		{"drop", &i->drop_ppm},
		{"dup", &i->dup_ppm},
		{"reorder", &i->reorder_ppm},
		{"corrupt", &i->corrupt_ppm},
	};
	const char *p = name;

	for (size_t k = 0; k < ARRAY_LEN(share); k++) {
		if (take(&p, share[k].name) && !*p)
			return parse_percent(share[k].ppm, value, err, err_bytes);
		p = name;
	}
	if (take(&p, "delay") && !*p)
		return parse_delay(i, value, err, err_bytes);
	p = name;
	if (take(&p, "rate") && !*p)
		return parse_rate(i, value, err, err_bytes);
	return refuse(err, err_bytes, "is no impairment");
}
