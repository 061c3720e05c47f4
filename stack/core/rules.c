/* Which rules the calls on an instance went through, for those who step through it
 * (tapglass_rules.h). Marks are `RULE` and `RULE_OF` of core/rule.h; they cost a test of one
 * pointer when nobody notes them. */
#include "core/rule.h"

static const char *const names[] = {"none",
#define X(NAME, name, clause, text) #name,
	TG_RULE_LIST(X)
#undef X
};
static const char *const clauses[] = {"-",
#define X(NAME, name, clause, text) clause,
	TG_RULE_LIST(X)
#undef X
};
static const char *const texts[] = {"-",
#define X(NAME, name, clause, text) text,
	TG_RULE_LIST(X)
#undef X
};

const char *tg_rule_name(unsigned rule)
{
	return rule < TG_RULE_COUNT ? names[rule] : "?";
}

const char *tg_rule_clause(unsigned rule)
{
	return rule < TG_RULE_COUNT ? clauses[rule] : "?";
}

const char *tg_rule_text(unsigned rule)
{
	return rule < TG_RULE_COUNT ? texts[rule] : "?";
}

bool tg_rules_note(struct tg *s, bool on)
{
	if (on == (s->rules != NULL))
		return true;
	if (!on) {
		core_free(s, s->rules, sizeof(*s->rules));
		s->rules = NULL;
		return true;
	}
	s->rules = core_alloc(s, sizeof(*s->rules));
	if (s->rules)
		memset(s->rules, 0, sizeof(*s->rules));
	return s->rules != NULL;
}

uint32_t tg_rules(const struct tg *s, const struct tg_rule_hit **out)
{
	*out = s->rules ? s->rules->hit : NULL;
	return s->rules ? s->rules->n : 0;
}

void tg_rules_clear(struct tg *s)
{
	if (s->rules)
		s->rules->n = 0;
}

bool tg_rules_seen(const struct tg *s, unsigned rule)
{
	return s->rules && rule < TG_RULE_COUNT && s->rules->seen[rule];
}

void rule_note(const struct tg *s, const struct rule_of *of, enum tg_rule rule,
	const uint32_t *number, uint32_t n)
{
	struct rule_book *b = s->rules;
	struct tg_rule_hit *h;

	b->seen[rule] = true;
	if (b->n == TG_RULE_HITS)
		return;
	h = &b->hit[b->n++];
	memset(h, 0, sizeof(*h));
	h->rule = (uint16_t)rule;
	h->n = (uint16_t)n;
	h->conn = of->conn;
	h->iss = of->iss;
	h->irs = of->irs;
	memcpy(h->number, number, n * sizeof(*number));
}
