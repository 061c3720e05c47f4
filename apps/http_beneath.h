/* Opening files below a directory and nowhere else. */
#ifndef TAPGLASS_HTTP_BENEATH_H
#define TAPGLASS_HTTP_BENEATH_H

#include <stdbool.h>

/* Opens rel (not absolute) below dir with open(2)'s flags. Neither "..", nor a symbolic link, nor a
 * link of /proc leads out of it: the kernel sees to that (openat2, Linux 5.6). Where that call is
 * missing, or by_parts says so, each component is opened by itself and symbolic links are refused
 * altogether. A descriptor, or -1 with errno: EXDEV, ELOOP or ENOENT for what leads outside. */
int http_beneath_open(int dir, const char *rel, int flags, bool by_parts);

#endif
