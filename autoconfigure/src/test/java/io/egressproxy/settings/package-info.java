/** Tests of what may be written under {@code proxy}, in every way of writing it, and of what is said when it is wrong. */
@NullMarked
package io.egressproxy.settings;

import org.jspecify.annotations.NullMarked;
