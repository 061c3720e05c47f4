/* Messages of the control socket: four bytes of length and JSON. */
#ifndef TAPGLASS_APPS_CONTROL_WIRE_H
#define TAPGLASS_APPS_CONTROL_WIRE_H

#include <json-c/json.h>

#include "control.h"

#define CONTROL_HDR_BYTES 4u

/* Writes header and text of o; the bytes, or 0: it does not fit. */
size_t control_pack(struct json_object *o, uint8_t *buf, size_t cap);
/* The message at the start of n bytes: 1 complete, *out being the caller's; 0 not yet; -1 not one
 * that can be. */
int control_unpack(const uint8_t *buf, size_t n, struct json_object **out);
/* An integer in it, or otherwise. */
int64_t control_int(struct json_object *o, const char *name, int64_t otherwise);
const char *control_text(struct json_object *o, const char *name);

#endif
