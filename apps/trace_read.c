/* Reading an event log: a JSON text sequence (RFC 7464), record by record, whatever is in it. A
 * record that is damaged is skipped up to the next 0x1E [7464 2.3]; its length, and how deep json-c
 * lets it nest, bound the memory. */
#include "trace.h"

#include <string.h>

#define RS 0x1e

/* ---- Fields ---------------------------------------------------------------------------------- */

bool trace_has(const struct trace_event *e, const char *field)
{
	return json_object_object_get_ex(e->data, field, NULL);
}

const char *trace_text(const struct trace_event *e, const char *field)
{
	struct json_object *v;

	return json_object_object_get_ex(e->data, field, &v) &&
			       json_object_is_type(v, json_type_string)
		       ? json_object_get_string(v)
		       : "";
}

int64_t trace_number(const struct trace_event *e, const char *field)
{
	struct json_object *v;

	return json_object_object_get_ex(e->data, field, &v) &&
			       json_object_is_type(v, json_type_int)
		       ? json_object_get_int64(v)
		       : 0;
}

bool trace_flag(const struct trace_event *e, const char *flag)
{
	struct json_object *v;

	if (!json_object_object_get_ex(e->data, "flags", &v) ||
		!json_object_is_type(v, json_type_array)) {
		return false;
	}
	for (size_t i = 0; i < json_object_array_length(v); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(v, i));

		if (name != NULL && strcmp(name, flag) == 0) {
			return true;
		}
	}
	return false;
}

/* ---- Records --------------------------------------------------------------------------------- */

bool trace_reader_open(struct trace_reader *r, FILE *f)
{
	memset(r, 0, sizeof *r);
	r->f = f;
	r->tok = json_tokener_new();
	return r->tok != NULL;
}

void trace_reader_close(struct trace_reader *r)
{
	json_object_put(r->record);
	if (r->tok != NULL) {
		json_tokener_free(r->tok);
	}
}

/* The text up to the next RS or the end; *fits is false if it was longer than a record may be. */
static size_t text_read(struct trace_reader *r, bool *fits)
{
	size_t n = 0;
	int c;

	*fits = true;
	r->in_record = false;
	while ((c = getc(r->f)) != EOF) {
		if (c == RS) {
			r->in_record = true;
			break;
		}
		if (n < sizeof r->buf) {
			r->buf[n++] = (char)c;
		} else {
			*fits = false;
		}
	}
	return n;
}

/* The next record's object into r->record. */
static enum trace_result record_read(struct trace_reader *r)
{
	bool fits;
	size_t n, used;

	json_object_put(r->record);
	r->record = NULL;
	do { /* [7464 2.1] several RS in a row stand for nothing */
		if (!r->in_record) {
			return TRACE_END;
		}
		n = text_read(r, &fits);
	} while (n == 0 && fits);
	r->records++;
	if (fits && r->buf[n - 1] != '\n' && !r->in_record) {
		return TRACE_CUT;
	}
	if (!fits || r->buf[n - 1] != '\n') {
		return TRACE_DAMAGED;
	}
	json_tokener_reset(r->tok);
	r->record = json_tokener_parse_ex(r->tok, r->buf, (int)n);
	used = json_tokener_get_parse_end(r->tok);
	if (json_tokener_get_error(r->tok) != json_tokener_success || used + 1 < n ||
		!json_object_is_type(r->record, json_type_object)) {
		return TRACE_DAMAGED;
	}
	return TRACE_EVENT;
}

enum trace_result trace_header(struct trace_reader *r)
{
	static const char schema[] = "urn:ietf:params:qlog:file:sequential";
	struct json_object *v;
	const char *text;

	if (getc(r->f) != RS) {
		return TRACE_NOT_A_LOG;
	}
	r->in_record = true;
	if (record_read(r) != TRACE_EVENT ||
		!json_object_object_get_ex(r->record, "file_schema", &v)) {
		return TRACE_NOT_A_LOG;
	}
	text = json_object_get_string(v);
	return text != NULL && strcmp(text, schema) == 0 ? TRACE_EVENT : TRACE_NOT_A_LOG;
}

enum trace_result trace_next(struct trace_reader *r, struct trace_event *e)
{
	enum trace_result rc = record_read(r);
	struct json_object *time, *name;

	if (rc != TRACE_EVENT) {
		return rc;
	}
	if (!json_object_object_get_ex(r->record, "time", &time) ||
		!(json_object_is_type(time, json_type_double) ||
			json_object_is_type(time, json_type_int)) ||
		!json_object_object_get_ex(r->record, "name", &name) ||
		!json_object_is_type(name, json_type_string) ||
		!json_object_object_get_ex(r->record, "data", &e->data) ||
		!json_object_is_type(e->data, json_type_object)) {
		return TRACE_DAMAGED;
	}
	e->time_ms = json_object_get_double(time);
	if (!(e->time_ms >= 0 && e->time_ms < 1e15)) {
		return TRACE_DAMAGED;
	}
	e->name = json_object_get_string(name);
	return TRACE_EVENT;
}
