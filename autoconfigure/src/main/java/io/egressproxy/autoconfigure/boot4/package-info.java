/**
 * The glue that exists in Spring Boot 4 only, for types that were elsewhere in Spring Boot 3. Nothing else belongs here.
 */
@NullMarked
package io.egressproxy.autoconfigure.boot4;

import org.jspecify.annotations.NullMarked;
