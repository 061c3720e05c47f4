/* The packet-script engine: calls, their arguments and results. Arguments are numbers, names of
 * constants joined by '|', strings, lists in [], structs in {} and calls such as htons(N). Words
 * that -D defines stand for what it says. */
#include "sim/drill.h"

#define DEPTH_MAX 8u

static bool parse_expr(struct drill *d, struct expr *x, unsigned depth);

/* Members up to `close`, separated by commas. */
static bool parse_members(struct drill *d, struct expr **at, const char *close, unsigned depth)
{
	if (!cur_space(d))
		return false;
	if (cur_take(&d->c, close))
		return true;
	for (;;) {
		*at = drill_alloc(d, sizeof(**at));
		if (!*at || !cur_space(d) || !parse_expr(d, *at, depth + 1) || !cur_space(d))
			return false;
		at = &(*at)->next;
		if (cur_take(&d->c, close))
			return true;
		if (!cur_take(&d->c, ","))
			return drill_error(
				d, cur_pos(&d->c), "',' or '%S' is expected here", close, 1);
	}
}

/* One string behind its opening quote, appended to x. */
static bool parse_piece(struct drill *d, struct expr *x, struct drill_pos pos)
{
	const char *at = d->c.at;
	char *joined;
	uint32_t n;

	while (cur_peek(&d->c) != '"' && cur_peek(&d->c) != '\n' && cur_peek(&d->c)) {
		if (cur_peek(&d->c) == '\\')
			cur_next(&d->c);
		cur_next(&d->c);
	}
	n = (uint32_t)(d->c.at - at);
	if (!cur_take(&d->c, "\""))
		return drill_error(d, pos, "this string does not end", "", 0);
	if (!x->text_bytes) {
		x->text = at;
		x->text_bytes = n;
		return true;
	}
	joined = drill_alloc(d, (size_t)x->text_bytes + n);
	if (!joined)
		return false;
	memcpy(joined, x->text, x->text_bytes);
	memcpy(joined + x->text_bytes, at, n);
	x->text = joined;
	x->text_bytes += n;
	return true;
}

/* "text", "several " "pieces", "cut"... */
static bool parse_string(struct drill *d, struct expr *x)
{
	struct cursor ahead;
	struct drill_pos pos = x->pos;

	x->kind = EXPR_STRING;
	for (;;) {
		if (!parse_piece(d, x, pos))
			return false;
		ahead = d->c;
		if (!cur_space(d))
			return false;
		if (cur_take(&d->c, "...")) {
			x->cut = true;
			return true;
		}
		pos = cur_pos(&d->c);
		if (!cur_take(&d->c, "\"")) {
			d->c = ahead;
			return true;
		}
	}
}

/* A word that -D defines: a number, a string or another name. */
static bool defined_word(
	struct drill *d, struct expr *x, const char *v, uint32_t n, struct drill_pos pos)
{
	struct cursor in = {v, v + n, v, 1};
	int64_t number;

	if (n >= 2 && v[0] == '"' && v[n - 1] == '"') {
		x->kind = EXPR_STRING;
		x->text = v + 1;
		x->text_bytes = n - 2;
		return true;
	}
	if ((cur_int(&in, &number) && in.at == in.end) || drill_constant(v, n, &number)) {
		x->value |= number;
		return true;
	}
	return drill_error(d, pos, "-D defines this as '%S', which is unknown too", v, n);
}

/* A word, which is no call and no member's name. */
static bool parse_word(
	struct drill *d, struct expr *x, const char *w, uint32_t n, struct drill_pos pos)
{
	uint32_t bytes;
	const char *defined = drill_define(d, w, n, &bytes);
	int64_t v;

	if (defined)
		return defined_word(d, x, defined, bytes, pos);
	if (!drill_constant(w, n, &v))
		return drill_error(d, pos, "unknown name '%S'", w, n);
	x->value |= v;
	return true;
}

/* "NAME(...)": a call, or behind it '=' and the value of a member. */
static bool parse_call_term(struct drill *d, struct expr *x, unsigned depth)
{
	struct expr *inner = NULL;

	if (!parse_members(d, &inner, ")", depth))
		return false;
	cur_blanks(&d->c);
	if (x->name || !cur_take(&d->c, "=")) {
		x->kind = EXPR_CALL;
		x->first = inner;
		return true;
	}
	x->name = x->text;
	x->name_bytes = x->text_bytes;
	x->text_bytes = 0;
	x->count = inner;
	return cur_space(d) && parse_expr(d, x, depth + 1);
}

/* A number or a name; a name before '(' is a call, before '=' a member of a struct. */
static bool parse_term(struct drill *d, struct expr *x, unsigned depth)
{
	struct drill_pos pos = cur_pos(&d->c);
	const char *w;
	uint32_t n;
	int64_t v;

	if (cur_int(&d->c, &v)) {
		x->value |= v;
		return true;
	}
	n = cur_word(&d->c, &w);
	if (!n)
		return drill_error(d, pos, "an argument is expected here", "", 0);
	cur_blanks(&d->c);
	if (cur_take(&d->c, "(")) {
		x->text = w;
		x->text_bytes = n;
		return parse_call_term(d, x, depth);
	}
	if (!x->name && cur_take(&d->c, "=")) {
		x->name = w;
		x->name_bytes = n;
		return cur_space(d) && parse_expr(d, x, depth + 1);
	}
	return parse_word(d, x, w, n, pos);
}

static bool parse_expr(struct drill *d, struct expr *x, unsigned depth)
{
	x->pos = cur_pos(&d->c);
	if (depth > DEPTH_MAX)
		return drill_error_at(d, "arguments are nested too deeply");
	if (cur_take(&d->c, "...") || cur_take(&d->c, "?")) {
		x->kind = EXPR_ANY;
		return true;
	}
	if (cur_take(&d->c, "\""))
		return parse_string(d, x);
	if (cur_take(&d->c, "[")) {
		x->kind = EXPR_LIST;
		return parse_members(d, &x->first, "]", depth);
	}
	if (cur_take(&d->c, "{")) {
		x->kind = EXPR_STRUCT;
		return parse_members(d, &x->first, "}", depth);
	}
	x->kind = EXPR_INT;
	do {
		if (!cur_space(d) || !parse_term(d, x, depth))
			return false;
		cur_blanks(&d->c);
	} while (x->kind == EXPR_INT && cur_take(&d->c, "|"));
	return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* "(text)" behind a result; it may go on in the next line. */
static bool parse_note(struct drill *d)
{
	struct cursor ahead = d->c;
	struct drill_pos pos;

	if (!cur_space(d))
		return false;
	pos = cur_pos(&d->c);
	if (!cur_take(&d->c, "(")) {
		d->c = ahead;
		return true;
	}
	while (cur_peek(&d->c) != ')' && cur_peek(&d->c) != '\n' && cur_peek(&d->c))
		cur_next(&d->c);
	return cur_take(&d->c, ")") ? true : drill_error(d, pos, "this remark does not end", "", 0);
}

static bool parse_result(struct drill *d, struct drill_call *c)
{
	struct cursor before, ahead;
	struct drill_pos pos;
	const char *w;
	uint32_t n;
	int64_t v;

	before = d->c;
	if (!cur_space(d))
		return false;
	if (!cur_take(&d->c, "=")) {
		d->c = before;
		return drill_error_at(d, "'= RESULT' is expected here");
	}
	cur_blanks(&d->c);
	c->result = drill_alloc(d, sizeof(*c->result));
	if (!c->result || !parse_expr(d, c->result, 0))
		return false;
	if (c->result->kind != EXPR_ANY && c->result->kind != EXPR_INT)
		return drill_error(
			d, c->result->pos, "the result of a call is a number or '?'", "", 0);
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	n = cur_word(&d->c, &w);
	if (n) {
		if (!drill_errno(w, n, &v))
			return drill_error(d, pos, "unknown error name '%S'", w, n);
		c->error = (int)v;
	}
	ahead = d->c;
	if (c->result->kind == EXPR_INT && c->result->value == -1 && !n && cur_take(&ahead, "(")) {
		c->any_error = true; /* "-1 (text)": some error */
		return parse_note(d);
	}
	if (c->result->kind == EXPR_INT && (c->result->value < 0) != (n != 0))
		return drill_error(
			d, pos, "a result of -1, and no other, needs the name of an error", "", 0);
	return parse_note(d);
}

bool drill_parse_call(struct drill *d, struct drill_call *c)
{
	struct drill_pos pos = cur_pos(&d->c);

	c->name_bytes = cur_word(&d->c, &c->name);
	cur_blanks(&d->c);
	if (!cur_take(&d->c, "("))
		return drill_error_at(d, "'(' is expected here");
	if (!parse_members(d, &c->args, ")", 0))
		return false;
	for (const struct expr *x = c->args; x; x = x->next)
		c->n_args++;
	return drill_check_call(d, pos, c) && parse_result(d, c);
}
