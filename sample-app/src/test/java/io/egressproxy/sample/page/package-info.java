/** Tests of the page. */
@NullMarked
package io.egressproxy.sample.page;

import org.jspecify.annotations.NullMarked;
