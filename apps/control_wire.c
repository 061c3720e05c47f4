/* Messages of the control socket. What comes in is not believed: lengths, types and depth are
 * checked. */
#include "control_wire.h"

#include <string.h>

#define DEPTH_MAX 8

size_t control_pack(struct json_object *o, uint8_t *buf, size_t cap)
{
	size_t n = 0;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &n);

	if (text == NULL || n > CONTROL_REQUEST_MAX || n + CONTROL_HDR_BYTES > cap) {
		return 0;
	}
	for (unsigned i = 0; i < CONTROL_HDR_BYTES; i++) {
		buf[i] = (uint8_t)(n >> (24 - 8 * i));
	}
	memcpy(buf + CONTROL_HDR_BYTES, text, n);
	return n + CONTROL_HDR_BYTES;
}

int control_unpack(const uint8_t *buf, size_t n, struct json_object **out)
{
	struct json_tokener *t;
	size_t len;

	if (n < CONTROL_HDR_BYTES) {
		return 0;
	}
	len = (size_t)buf[0] << 24 | (size_t)buf[1] << 16 | (size_t)buf[2] << 8 | buf[3];
	if (len == 0 || len > CONTROL_REQUEST_MAX) {
		return -1;
	}
	if (n - CONTROL_HDR_BYTES < len) {
		return 0;
	}
	t = json_tokener_new_ex(DEPTH_MAX);
	if (t == NULL) {
		return -1;
	}
	*out = json_tokener_parse_ex(t, (const char *)buf + CONTROL_HDR_BYTES, (int)len);
	if (json_tokener_get_error(t) != json_tokener_success ||
		!json_object_is_type(*out, json_type_object)) {
		json_object_put(*out);
		*out = NULL;
	}
	json_tokener_free(t);
	return *out != NULL ? 1 : -1;
}

int64_t control_int(struct json_object *o, const char *name, int64_t otherwise)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_int)
		       ? json_object_get_int64(v)
		       : otherwise;
}

const char *control_text(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, json_type_string)
		       ? json_object_get_string(v)
		       : "";
}
