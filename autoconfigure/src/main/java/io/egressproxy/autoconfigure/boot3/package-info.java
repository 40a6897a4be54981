/**
 * The glue that exists in Spring Boot 3 only, since the types moved in Spring Boot 4. Nothing else belongs here.
 */
@NullMarked
package io.egressproxy.autoconfigure.boot3;

import org.jspecify.annotations.NullMarked;
