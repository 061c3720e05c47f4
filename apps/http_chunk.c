/* The chunked coding, read (RFC 9112 7.1, 7.1.1, 7.1.2): see the header. */
#include "http_chunk.h"

#include "http_parse.h"

enum state {
	SIZE,      /* hexadecimal digits */
	EXT_START, /* blanks after them: an extension has to follow */
	EXT,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LINE, /* start of a trailer, or of the last line */
	NAME,
	VALUE,
	VALUE_LF,
	LAST_LF,
};

#define SIZE_DIGITS_MAX 15u

static void refuse(struct http_chunk *d, int status)
{
	d->status = (int16_t)status;
}

/* True: ch belongs to a line's text. */
static bool is_text(unsigned char ch)
{
	return ch == '\t' || (ch >= 0x20 && ch != 0x7f);
}

static void size_byte(struct http_chunk *d, unsigned char ch)
{
	int v = http_hex_value((char)ch);

	if (v >= 0) {
		d->left_bytes = d->left_bytes << 4 | (unsigned)v;
		if (++d->digits > SIZE_DIGITS_MAX) {
			refuse(d, 400);
		}
	} else if (d->digits == 0) {
		refuse(d, 400);
	} else if (ch == '\r') {
		d->state = SIZE_LF;
	} else if (ch == ';') {
		d->state = EXT;
	} else if (ch == ' ' || ch == '\t') {
		d->state = EXT_START;
	} else {
		refuse(d, 400);
	}
}

static void ext_byte(struct http_chunk *d, unsigned char ch)
{
	if (++d->ext_bytes > HTTP_CHUNK_EXT_MAX_BYTES) {
		refuse(d, 400);
	} else if (d->state == EXT_START && ch == ';') {
		d->state = EXT;
	} else if (d->state == EXT_START && ch != ' ' && ch != '\t') {
		refuse(d, 400);
	} else if (d->state == EXT && ch == '\r') {
		d->state = SIZE_LF;
	} else if (!is_text(ch)) {
		refuse(d, 400);
	}
}

static void expect(struct http_chunk *d, unsigned char ch, unsigned char want, enum state next)
{
	if (ch != want) {
		refuse(d, 400);
	}
	d->state = (uint8_t)next;
}

/* [9112 7.1.2] field lines after the last chunk, then an empty one */
static void trailer_byte(struct http_chunk *d, unsigned char ch)
{
	if (++d->trailer_bytes > HTTP_CHUNK_TRAILER_MAX_BYTES) {
		refuse(d, 431);
	} else if (d->state == LINE && ch == '\r') {
		d->state = LAST_LF;
	} else if (d->state == LINE) {
		d->state = NAME;
		if (!http_is_token(ch)) {
			refuse(d, 400);
		} else if (++d->trailers > HTTP_CHUNK_TRAILERS_MAX) {
			refuse(d, 431);
		}
	} else if (d->state == NAME) {
		if (ch == ':') {
			d->state = VALUE;
		} else if (!http_is_token(ch)) {
			refuse(d, 400);
		}
	} else if (ch == '\r') {
		d->state = VALUE_LF;
	} else if (!is_text(ch)) {
		refuse(d, 400);
	}
}

static void framing_byte(struct http_chunk *d, unsigned char ch)
{
	switch ((enum state)d->state) {
	case SIZE: size_byte(d, ch); break;
	case EXT_START:
	case EXT: ext_byte(d, ch); break;
	case SIZE_LF:
		expect(d, ch, '\n', d->left_bytes > 0 ? DATA : LINE);
		d->digits = 0;
		break;
	case DATA_CR: expect(d, ch, '\r', DATA_LF); break;
	case DATA_LF: expect(d, ch, '\n', SIZE); break;
	case LINE:
	case NAME:
	case VALUE: trailer_byte(d, ch); break;
	case VALUE_LF: expect(d, ch, '\n', LINE); break;
	case LAST_LF:
		expect(d, ch, '\n', LAST_LF);
		d->done = d->status == 0;
		break;
	case DATA: break;
	}
}

size_t http_chunk_take(
	struct http_chunk *d, const char *p, size_t n, const char **data, size_t *data_bytes)
{
	size_t i = 0;

	*data = p;
	*data_bytes = 0;
	while (i < n && !d->done && d->status == 0) {
		if (d->state == DATA) {
			size_t run = n - i < d->left_bytes ? n - i : (size_t)d->left_bytes;

			*data = p + i;
			*data_bytes = run;
			d->left_bytes -= run;
			if (d->left_bytes == 0) {
				d->state = DATA_CR;
			}
			return i + run;
		}
		framing_byte(d, (unsigned char)p[i++]);
	}
	return i;
}
