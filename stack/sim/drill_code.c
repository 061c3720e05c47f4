/* The packet-script engine: reads the code in %{ }%. packetdrill hands it to Python; understood
 * here are the statements that tests are made of:
 *
 *   assert CONDITION [, MESSAGE]    print(...)    NAME = EXPRESSION    pass
 *
 * separated by ';' or line ends, over numbers, strings, fields of TCP_INFO and constants, with
 * or, and, not, chains of comparisons, in, | ^ & << >> + - * / // % **, abs, min, max, int and
 * parentheses, binding as in Python. Numbers are exact fractions. Everything else is an error. */
#include "sim/drill_code.h"

#define NODES_MAX 400u /* of one statement: bounds the depth, too */
#define DEPTH_MAX 40u

struct parse {
	struct drill *d;
	unsigned nodes, depth;
	unsigned brackets; /* open: line ends are blanks */
};

static struct code *parse_binary(struct parse *p, unsigned least);

static void *bad(struct parse *p, const char *why)
{
	drill_error_at(p->d, why);
	return NULL;
}

static struct code *node(struct parse *p, enum code_op op, struct code *a, struct code *b)
{
	struct code *x;

	if (p->nodes++ == NODES_MAX)
		return bad(p, "this statement is too long");
	x = drill_alloc(p->d, sizeof(*x));
	if (!x)
		return NULL;
	x->op = (uint8_t)op;
	x->pos = cur_pos(&p->d->c);
	x->den = 1;
	x->a = a;
	x->b = b;
	return x;
}

/* Blanks, comments, continued lines; line ends within brackets. */
static void blanks(struct parse *p)
{
	struct cursor *c = &p->d->c;

	for (;;) {
		cur_blanks(c);
		if (cur_peek(c) == '#')
			while (cur_peek(c) != '\n' && cur_peek(c) != '}' && cur_peek(c))
				cur_next(c);
		if (!cur_take(c, "\\\n") && !cur_take(c, "\\\r\n") &&
			!(p->brackets && cur_take(c, "\n")))
			return;
	}
}

static bool take(struct parse *p, const char *text)
{
	blanks(p);
	return cur_take(&p->d->c, text);
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* "12", "0x10", "1.5" */
static struct code *parse_number(struct parse *p)
{
	struct code *x = node(p, CODE_NUMBER, NULL, NULL);
	struct cursor *c = &p->d->c;
	uint64_t v;

	if (!x)
		return NULL;
	if (!cur_uint(c, INT64_MAX, &v))
		return bad(p, "this number is too large");
	x->num = (int64_t)v;
	if (cur_peek(c) != '.')
		return x;
	cur_next(c);
	for (; cur_peek(c) >= '0' && cur_peek(c) <= '9'; cur_next(c)) {
		if (x->den >= 1000000 || x->num > INT64_MAX / 100)
			return bad(p, "at most six digits behind the point");
		x->num = x->num * 10 + (cur_peek(c) - '0');
		x->den *= 10;
	}
	return x;
}

static struct code *parse_string(struct parse *p, char quote)
{
	struct code *x = node(p, CODE_STRING, NULL, NULL);
	struct cursor *c = &p->d->c;

	if (!x)
		return NULL;
	cur_next(c);
	x->text = c->at;
	while (cur_peek(c) != quote && cur_peek(c) != '\n' && cur_peek(c)) {
		if (cur_peek(c) == '\\')
			cur_next(c);
		cur_next(c);
	}
	x->text_bytes = (uint32_t)(c->at - x->text);
	if (cur_peek(c) != quote)
		return bad(p, "this string does not end");
	cur_next(c);
	return x;
}

/* Behind an opening bracket: expressions up to `close`. */
static struct code *parse_list(struct parse *p, const char *close)
{
	struct code *list = node(p, CODE_LIST, NULL, NULL), **at;

	if (!list)
		return NULL;
	at = &list->a;
	p->brackets++;
	while (!take(p, close)) {
		if (at != &list->a && !take(p, ","))
			return bad(p, "',' or a closing bracket is expected here");
		if (at != &list->a && take(p, close))
			break;
		*at = parse_binary(p, 1);
		if (!*at)
			return NULL;
		at = &(*at)->next;
	}
	p->brackets--;
	return list;
}

/* "(x)" is x, "(x, y)" a list. */
static struct code *parse_parentheses(struct parse *p)
{
	struct drill_pos pos = cur_pos(&p->d->c);
	struct code *list = parse_list(p, ")");

	if (!list)
		return NULL;
	if (!list->a) {
		drill_error(p->d, pos, "there is nothing in these parentheses", "", 0);
		return NULL;
	}
	return list->a->next ? list : list->a;
}

static struct code *parse_call(struct parse *p, struct drill_pos pos, const char *w, uint32_t n)
{
	static const struct {
		const char *name;
		enum code_op op;
	} calls[] = {{"abs", CODE_ABS}, {"min", CODE_MIN}, {"max", CODE_MAX}, {"int", CODE_INT}};
	struct code *x, *args;
	size_t i = 0;

	while (i < ARRAY_LEN(calls) && !word_is(w, n, calls[i].name))
		i++;
	if (i == ARRAY_LEN(calls)) {
		drill_error(p->d, pos, "unknown function '%S'", w, n);
		return NULL;
	}
	args = parse_list(p, ")");
	if (args && (!args->a || (args->a->next && i != 1 && i != 2))) {
		drill_error(p->d, pos, "wrong number of arguments for %S", w, n);
		return NULL;
	}
	x = args ? node(p, calls[i].op, args, NULL) : NULL;
	return x;
}

static struct code *parse_name(struct parse *p)
{
	struct drill_pos pos = cur_pos(&p->d->c);
	struct drill *d = p->d;
	struct code *x;
	const char *w;
	uint32_t n = cur_word(&d->c, &w);
	int field;

	if (take(p, "("))
		return parse_call(p, pos, w, n);
	x = node(p, CODE_NUMBER, NULL, NULL);
	if (!x)
		return NULL;
	x->pos = pos;
	x->text = w;
	x->text_bytes = n;
	if (drill_code_constant(w, n, &x->num))
		return x;
	field = drill_code_field(w, n);
	if (field >= 0) {
		x->op = CODE_FIELD;
		x->num = field;
		return x;
	}
	for (uint32_t i = 0; i < d->n_vars; i++)
		if (d->vars[i].name_bytes == n && memcmp(d->vars[i].name, w, n) == 0) {
			x->op = CODE_VAR;
			x->num = i;
			return x;
		}
	drill_error(d, pos, "unknown name '%S'", w, n);
	return NULL;
}

static struct code *parse_unary(struct parse *p)
{
	struct drill *d = p->d;
	enum code_op op = CODE_NONE;
	struct code *x;
	char ch;

	if (p->depth == DEPTH_MAX)
		return bad(p, "this is nested too deeply");
	p->depth++;
	blanks(p);
	ch = cur_peek(&d->c);
	if (cur_take_word(&d->c, "not")) {
		x = parse_binary(p, 4);
		op = CODE_NOT;
	} else if (ch == '-' || ch == '~' || ch == '+') {
		cur_next(&d->c);
		x = parse_binary(p, 11);
		op = ch == '-' ? CODE_NEG : ch == '~' ? CODE_INVERT : CODE_NONE;
	} else if (ch == '(') {
		cur_next(&d->c);
		x = parse_parentheses(p);
	} else if (ch == '[') {
		cur_next(&d->c);
		x = parse_list(p, "]");
	} else if (ch == '"' || ch == '\'') {
		x = parse_string(p, ch);
	} else if (ch >= '0' && ch <= '9') {
		x = parse_number(p);
	} else if (cur_at_word(&d->c)) {
		x = parse_name(p);
	} else {
		x = bad(p, "a value is expected here");
	}
	p->depth--;
	return x && op != CODE_NONE ? node(p, op, x, NULL) : x;
}

/* ---- Operators ------------------------------------------------------------------------------- */

static const struct operator
{
	const char *text;
	uint8_t op, level;
	bool word;
}
operators[] = {{"or", CODE_OR, 1, true}, {"and", CODE_AND, 2, true}, {"==", CODE_EQ, 4, false},
	{"!=", CODE_NE, 4, false}, {"<=", CODE_LE, 4, false}, {">=", CODE_GE, 4, false},
	{"<<", CODE_SHL, 8, false}, {">>", CODE_SHR, 8, false}, {"<", CODE_LT, 4, false},
	{">", CODE_GT, 4, false}, {"in", CODE_IN, 4, true}, {"not", CODE_NOT_IN, 4, true},
	{"|", CODE_BIT_OR, 5, false}, {"^", CODE_BIT_XOR, 6, false}, {"&", CODE_BIT_AND, 7, false},
	{"+", CODE_ADD, 9, false}, {"-", CODE_SUB, 9, false}, {"**", CODE_POW, 12, false},
	{"//", CODE_FLOOR, 10, false}, {"*", CODE_MUL, 10, false}, {"/", CODE_DIV, 10, false},
	{"%", CODE_MOD, 10, false}};

#define LEVEL_COMPARE 4u

/* The operator that comes next, if it binds at least so; it is taken. */
static const struct operator* take_operator(struct parse *p, unsigned least)
{
	struct cursor *c = &p->d->c, saved;

	blanks(p);
	saved = *c;
	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		const struct operator* o = & operators[i];

		if (!(o->word ? cur_take_word(c, o->text) : cur_take(c, o->text)))
			continue;
		if (o->op == CODE_NOT_IN) {
			blanks(p);
			if (!cur_take_word(c, "in"))
				break;
		}
		if (o->level >= least)
			return o;
		break;
	}
	*c = saved;
	return NULL;
}

/* Operators that bind at least as `least`; "a < b < c" is "a < b and b < c". */
static struct code *parse_binary(struct parse *p, unsigned least)
{
	struct code *left = parse_unary(p), *compared = NULL, *right, *x;
	const struct operator* o;
	struct drill_pos pos;

	for (;;) {
		blanks(p);
		pos = cur_pos(&p->d->c);
		o = left ? take_operator(p, least) : NULL;
		if (!o)
			return left;
		right = parse_binary(p, o->level + 1u);
		if (!right)
			return NULL;
		x = node(p, (enum code_op)o->op,
			o->level == LEVEL_COMPARE && compared ? compared : left, right);
		if (!x)
			return NULL;
		x->pos = pos;
		if (o->level == LEVEL_COMPARE && compared)
			x = node(p, CODE_AND, left, x);
		compared = o->level == LEVEL_COMPARE ? right : NULL;
		left = x;
	}
}

/* ---- Statements ------------------------------------------------------------------------------ */

static struct code *parse_assert(struct parse *p)
{
	struct cursor *c = &p->d->c;
	struct code *x = node(p, CODE_ASSERT, NULL, NULL);
	const char *from;

	if (!x)
		return NULL;
	blanks(p);
	from = c->at;
	x->pos = cur_pos(c);
	x->a = parse_binary(p, 1);
	if (!x->a)
		return NULL;
	x->text = from;
	x->text_bytes = (uint32_t)(c->at - from);
	while (x->text_bytes && from[x->text_bytes - 1] <= ' ')
		x->text_bytes--;
	if (!take(p, ","))
		return x;
	x->b = parse_binary(p, 1);
	return x->b ? x : NULL;
}

static struct code *parse_set(struct parse *p, struct drill_pos pos, const char *w, uint32_t n)
{
	struct drill *d = p->d;
	struct code *x = node(p, CODE_SET, NULL, NULL);
	uint32_t i = 0;
	int64_t v;

	if (!x)
		return NULL;
	x->a = parse_binary(p, 1);
	if (!x->a)
		return NULL;
	if (drill_code_constant(w, n, &v) || drill_code_field(w, n) >= 0) {
		drill_error(d, pos, "'%S' cannot be set", w, n);
		return NULL;
	}
	while (i < d->n_vars && !(d->vars[i].name_bytes == n && memcmp(d->vars[i].name, w, n) == 0))
		i++;
	if (i == DRILL_VARS) {
		drill_error(d, pos, "at most 32 variables", "", 0);
		return NULL;
	}
	if (i == d->n_vars)
		d->vars[d->n_vars++] = (struct drill_var){.name = w, .name_bytes = n};
	x->num = i;
	return x;
}

/* print(X, Y), or as older scripts have it print X, Y */
static struct code *parse_print(struct parse *p)
{
	struct code *list, **at;

	if (take(p, "(")) {
		list = parse_list(p, ")");
		return list ? node(p, CODE_PRINT, list, NULL) : NULL;
	}
	list = node(p, CODE_LIST, NULL, NULL);
	if (!list)
		return NULL;
	at = &list->a;
	do {
		*at = parse_binary(p, 1);
		if (!*at)
			return NULL;
		at = &(*at)->next;
	} while (take(p, ","));
	return node(p, CODE_PRINT, list, NULL);
}

static struct code *parse_statement(struct parse *p)
{
	struct drill_pos pos = cur_pos(&p->d->c);
	struct drill *d = p->d;
	const char *w;
	uint32_t n;

	n = cur_word(&d->c, &w);
	if (word_is(w, n, "assert"))
		return parse_assert(p);
	if (word_is(w, n, "pass"))
		return node(p, CODE_NONE, NULL, NULL);
	if (word_is(w, n, "print"))
		return parse_print(p);
	blanks(p);
	if (n && cur_peek(&d->c) == '=' && !cur_take(&d->c, "==") && cur_take(&d->c, "="))
		return parse_set(p, pos, w, n);
	drill_error(d, pos, "of Python only assert, print(), pass and NAME = VALUE are understood",
		"", 0);
	return NULL;
}

/* Blank lines and ';' between statements. */
static void between(struct parse *p)
{
	do {
		blanks(p);
	} while (cur_take(&p->d->c, ";") || cur_take(&p->d->c, "\n"));
}

bool drill_parse_code(struct drill *d, struct code **out)
{
	struct drill_pos open = cur_pos(&d->c);
	struct parse p = {.d = d};

	for (;;) {
		between(&p);
		if (cur_take(&d->c, "}%"))
			return true;
		if (d->c.at == d->c.end)
			return drill_error(d, open, "this code does not end", "", 0);
		p = (struct parse){.d = d};
		*out = parse_statement(&p);
		if (!*out)
			return false;
		out = &(*out)->next;
		blanks(&p);
		if (cur_peek(&d->c) != ';' && cur_peek(&d->c) != '\n' && cur_peek(&d->c) != '}' &&
			cur_peek(&d->c))
			return drill_error_at(d, "';', a line end or }%% is expected here");
	}
}
