/** Tests of what Spring Boot applications get, each in a context of its own, against real proxies where one connects. */
@NullMarked
package io.egressproxy.autoconfigure;

import org.jspecify.annotations.NullMarked;
