/** Tests of the words of the domain, and of the rules that hold for the whole library. */
@NullMarked
package io.egressproxy;

import org.jspecify.annotations.NullMarked;
