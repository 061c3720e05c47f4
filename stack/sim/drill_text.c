/* The packet-script engine: reading and writing text, and the memory and errors of a run. Left out:
 * anything about the language beyond numbers, words and comments. */
#include "sim/drill.h"

#include <stdarg.h>

/* ---- Out ------------------------------------------------------------------------------------- */

struct text text_in(char *buf, size_t cap)
{
	buf[0] = 0;
	return (struct text){buf, buf + cap - 1};
}

static void put(struct text *t, char c)
{
	if (t->at < t->end) {
		*t->at++ = c;
		*t->at = 0;
	}
}

static void put_bytes(struct text *t, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(t, s[i]);
}

static void put_number(struct text *t, uint64_t v, unsigned base, unsigned width)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v || n < width);
	while (n)
		put(t, digits[--n]);
}

static void put_signed(struct text *t, int64_t v)
{
	if (v < 0)
		put(t, '-');
	put_number(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, 1);
}

static void put_text(struct text *t, const char *s)
{
	while (*s)
		put(t, *s++);
}

static void put_time(struct text *t, uint64_t ns)
{
	put_number(t, ns / NS_PER_SEC, 10, 1);
	put(t, '.');
	put_number(t, ns % NS_PER_SEC / NS_PER_US, 10, 6);
}

void text_add(struct text *t, const char *fmt, ...)
{
	const char *s;
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(t, *fmt);
			continue;
		}
		switch (*++fmt) {
		case 's': put_text(t, va_arg(ap, const char *)); break;
		case 'S':
			s = va_arg(ap, const char *);
			put_bytes(t, s, va_arg(ap, uint32_t));
			break;
		case 'u': put_number(t, va_arg(ap, uint32_t), 10, 1); break;
		case 'd': put_signed(t, va_arg(ap, int64_t)); break;
		case 'x':
			put_text(t, "0x");
			put_number(t, va_arg(ap, uint32_t), 16, 1);
			break;
		case 't': put_time(t, va_arg(ap, uint64_t)); break;
		default: put(t, '%'); break;
		}
	}
	va_end(ap);
}

/* ---- Errors and memory ----------------------------------------------------------------------- */

static void note_place(struct drill *d, struct drill_pos pos)
{
	const char *at = d->text, *end = d->text + d->text_bytes;

	d->r->line = pos.line;
	d->r->column = pos.column;
	for (uint32_t line = 1; line < pos.line && at < end; at++)
		line += *at == '\n';
	d->r->source = at;
	while (at < end && *at != '\n')
		at++;
	d->r->source_bytes = (uint32_t)(at - d->r->source);
}

bool drill_error(struct drill *d, struct drill_pos pos, const char *fmt, const char *a, uint32_t n)
{
	struct text t;

	if (d->failed)
		return false;
	d->failed = true;
	d->r->verdict = TG_DRILL_ERROR;
	note_place(d, pos);
	t = text_in(d->r->message, sizeof(d->r->message));
	text_add(&t, fmt, a, n);
	return false;
}

bool drill_fail(struct drill *d, const struct drill_event *e, const char *message)
{
	struct text t;

	if (d->failed)
		return false;
	d->failed = true;
	d->r->verdict = TG_DRILL_FAILED;
	note_place(d, e->pos);
	t = text_in(d->r->message, sizeof(d->r->message));
	text_add(&t, "%s", message);
	t = text_in(d->r->trace, sizeof(d->r->trace));
	drill_print_trace(d, &t);
	return false;
}

void *drill_alloc(struct drill *d, size_t n)
{
	uint8_t *p = d->mem;

	n = (n + 15) / 16 * 16;
	if (n > (size_t)(d->mem_end - d->mem)) {
		drill_error(d, cur_pos(&d->c), "the script needs too much memory", "", 0);
		return NULL;
	}
	d->mem += n;
	memset(p, 0, n);
	return p;
}

/* ---- In -------------------------------------------------------------------------------------- */

struct drill_pos cur_pos(const struct cursor *c)
{
	return (struct drill_pos){c->line, (uint32_t)(c->at - c->line_start) + 1};
}

char cur_peek(const struct cursor *c)
{
	return c->at < c->end ? *c->at : 0;
}

void cur_next(struct cursor *c)
{
	if (c->at == c->end)
		return;
	if (*c->at++ == '\n') {
		c->line++;
		c->line_start = c->at;
	}
}

static char peek_at(const struct cursor *c, size_t i)
{
	return (size_t)(c->end - c->at) > i ? c->at[i] : 0;
}

void cur_blanks(struct cursor *c)
{
	while (cur_peek(c) == ' ' || cur_peek(c) == '\t' || cur_peek(c) == '\r')
		cur_next(c);
}

static void skip_line(struct cursor *c)
{
	while (c->at < c->end && *c->at != '\n')
		cur_next(c);
}

bool cur_space(struct drill *d)
{
	struct cursor *c = &d->c;
	struct drill_pos pos;

	for (;;) {
		char ch = cur_peek(c);

		if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n') {
			cur_next(c);
		} else if (ch == '#' ||
			   (ch == '/' && peek_at(c, 1) == '/' && peek_at(c, 2) != '@')) {
			skip_line(c);
		} else if (ch == '/' && peek_at(c, 1) == '*') {
			pos = cur_pos(c);
			c->at += 2;
			while (c->at < c->end && !(cur_peek(c) == '*' && peek_at(c, 1) == '/'))
				cur_next(c);
			if (!cur_take(c, "*/"))
				return drill_error(d, pos, "this comment does not end", "", 0);
		} else {
			return true;
		}
	}
}

bool cur_take(struct cursor *c, const char *text)
{
	size_t n = 0;

	while (text[n]) {
		if (peek_at(c, n) != text[n])
			return false;
		n++;
	}
	for (size_t i = 0; i < n; i++)
		cur_next(c);
	return true;
}

static bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool is_word(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || is_digit(ch) || ch == '_';
}

bool cur_at_word(const struct cursor *c)
{
	return is_word(cur_peek(c)) && !is_digit(cur_peek(c));
}

uint32_t cur_word(struct cursor *c, const char **word)
{
	*word = c->at;
	if (!cur_at_word(c))
		return 0;
	while (is_word(cur_peek(c)))
		cur_next(c);
	return (uint32_t)(c->at - *word);
}

bool word_is(const char *word, uint32_t n, const char *text)
{
	for (uint32_t i = 0; i < n; i++)
		if (!text[i] || word[i] != text[i])
			return false;
	return text[n] == 0;
}

bool cur_take_word(struct cursor *c, const char *word)
{
	struct cursor saved = *c;
	const char *w;
	uint32_t n = cur_word(c, &w);

	if (n && word_is(w, n, word))
		return true;
	*c = saved;
	return false;
}

static int digit_value(char ch)
{
	if (is_digit(ch))
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return 99;
}

bool cur_uint(struct cursor *c, uint64_t max, uint64_t *out)
{
	struct cursor saved = *c;
	int base = 10;
	uint64_t v = 0;

	if (!is_digit(cur_peek(c)))
		return false;
	if (cur_peek(c) == '0' && (peek_at(c, 1) == 'x' || peek_at(c, 1) == 'X')) {
		base = 16;
		c->at += 2;
	}
	if (digit_value(cur_peek(c)) >= base)
		goto no;
	while (digit_value(cur_peek(c)) < base) {
		uint64_t digit = (uint64_t)digit_value(cur_peek(c));

		if (digit > max || v > (max - digit) / (uint64_t)base)
			goto no;
		v = v * (uint64_t)base + digit;
		cur_next(c);
	}
	*out = v;
	return true;
no:
	*c = saved;
	return false;
}

bool cur_int(struct cursor *c, int64_t *out)
{
	struct cursor saved = *c;
	bool negative = cur_take(c, "-");
	uint64_t v;

	if (!cur_uint(c, INT64_MAX / 2, &v)) {
		*c = saved;
		return false;
	}
	*out = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

bool cur_seconds(struct cursor *c, uint64_t *out)
{
	uint64_t unit = NS_PER_SEC / 10, v = 0;
	bool any = false;

	while (is_digit(cur_peek(c)) && v < 1000000000ull) {
		v = v * 10 + (uint64_t)(cur_peek(c) - '0');
		cur_next(c);
		any = true;
	}
	v *= NS_PER_SEC;
	if (cur_peek(c) == '.' && is_digit(peek_at(c, 1))) {
		cur_next(c);
		for (; is_digit(cur_peek(c)) && unit; unit /= 10, cur_next(c))
			v += unit * (uint64_t)(cur_peek(c) - '0');
		any = true;
	}
	*out = v;
	return any && !is_digit(cur_peek(c));
}

bool cur_quantity(struct cursor *c, uint64_t *out)
{
	static const struct {
		char name[4];
		uint64_t factor;
	} units[] = {{"ns", 1}, {"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_SEC},
		{"KiB", 1024}, {"MiB", 1024 * 1024}};
	uint64_t v;
	const char *w;
	uint32_t n;

	if (cur_take_word(c, "true") || cur_take_word(c, "on")) {
		*out = 1;
		return true;
	}
	if (cur_take_word(c, "false") || cur_take_word(c, "off")) {
		*out = 0;
		return true;
	}
	if (!cur_uint(c, 1000000000ull * NS_PER_SEC, &v))
		return false;
	*out = v;
	n = cur_word(c, &w);
	for (size_t i = 0; n && i < ARRAY_LEN(units); i++)
		if (word_is(w, n, units[i].name)) {
			*out = v * units[i].factor;
			return v <= UINT64_MAX / units[i].factor;
		}
	return n == 0;
}
