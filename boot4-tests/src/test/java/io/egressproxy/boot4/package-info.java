/** What only Spring Boot 4 has. Everything else is tested by the classes that the first generation is tested by. */
@NullMarked
package io.egressproxy.boot4;

import org.jspecify.annotations.NullMarked;
