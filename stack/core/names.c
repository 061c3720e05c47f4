/* Words for numbers: the names, texts and RFC clauses of drop reasons, states and causes, made from
 * the lists of tapglass_inspect.h, and addresses as text (dotted decimal, as RFC 1123 2.1 has
 * applications accept it). Left out: addresses other than IPv4. */
#include "tapglass_inspect.h"

#include "base/base.h"

#define UNKNOWN "?"

static const char *const drop_names[] = {"none",
#define X(NAME, name, text, clause) #name,
	TG_DROP_LIST(X)
#undef X
};

static const char *const drop_texts[] = {"not dropped",
#define X(NAME, name, text, clause) text,
	TG_DROP_LIST(X)
#undef X
};

static const char *const drop_clauses[] = {"-",
#define X(NAME, name, text, clause) clause,
	TG_DROP_LIST(X)
#undef X
};

static const char *const state_names[] = {
#define X(name, text) text,
	TG_STATE_LIST(X)
#undef X
};

static const char *const cause_texts[] = {"no cause",
#define X(name, text, clause) text,
	TG_CAUSE_LIST(X)
#undef X
};

static const char *const cause_clauses[] = {"-",
#define X(name, text, clause) clause,
	TG_CAUSE_LIST(X)
#undef X
};

_Static_assert(ARRAY_LEN(drop_names) == TG_DROP_COUNT, "a name for every drop reason");
_Static_assert(ARRAY_LEN(state_names) == TG_STATE_COUNT, "a name for every state");
_Static_assert(ARRAY_LEN(cause_texts) == TG_CAUSE_COUNT, "a text for every cause");

/* The numbers may come from a trace record of a file, so any value may be asked for. */
static const char *word(const char *const *table, size_t n, unsigned long i)
{
	return i < n ? table[i] : UNKNOWN;
}

const char *tg_drop_name(enum tg_drop d)
{
	return word(drop_names, ARRAY_LEN(drop_names), (unsigned long)d);
}

const char *tg_drop_text(enum tg_drop d)
{
	return word(drop_texts, ARRAY_LEN(drop_texts), (unsigned long)d);
}

const char *tg_drop_clause(enum tg_drop d)
{
	return word(drop_clauses, ARRAY_LEN(drop_clauses), (unsigned long)d);
}

const char *tg_cc_name(unsigned cc)
{
	static const char *const names[TG_CC_COUNT] = {
		[TG_CC_CUBIC] = "cubic", [TG_CC_RENO] = "reno"};

	return cc < TG_CC_COUNT ? names[cc] : NULL;
}

const char *tg_state_name(enum tg_state st)
{
	return word(state_names, ARRAY_LEN(state_names), (unsigned long)st);
}

const char *tg_cause_text(enum tg_cause c)
{
	return word(cause_texts, ARRAY_LEN(cause_texts), (unsigned long)c);
}

const char *tg_cause_clause(enum tg_cause c)
{
	return word(cause_clauses, ARRAY_LEN(cause_clauses), (unsigned long)c);
}

/* One number 0 to 255 without leading zeros (some read those as octal). Returns the character
 * behind it, NULL if there is none. */
static const char *parse_octet(const char *t, uint8_t *out)
{
	unsigned v = 0, digits = 0;

	while (*t >= '0' && *t <= '9') {
		if (digits && v == 0)
			return NULL;
		v = v * 10 + (unsigned)(*t++ - '0');
		digits++;
		if (v > 255)
			return NULL;
	}
	*out = (uint8_t)v;
	return digits ? t : NULL;
}

bool tg_ip_parse(const char *text, struct tg_ip *out)
{
	uint8_t q[4];

	for (unsigned i = 0; i < 4; i++) {
		if (i && *text++ != '.')
			return false;
		text = parse_octet(text, &q[i]);
		if (!text)
			return false;
	}
	if (*text)
		return false;
	*out = tg_ip4(q[0], q[1], q[2], q[3]);
	return true;
}

static char *format_octet(char *p, uint8_t v)
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

char *tg_ip_format(const struct tg_ip *ip, char buf[16])
{
	char *p = buf;

	for (unsigned i = 12; i < 16; i++) {
		if (i > 12)
			*p++ = '.';
		p = format_octet(p, ip->b[i]);
	}
	*p = '\0';
	return buf;
}
