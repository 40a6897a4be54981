@NullMarked
package io.egressproxy.observability;

import org.jspecify.annotations.NullMarked;
