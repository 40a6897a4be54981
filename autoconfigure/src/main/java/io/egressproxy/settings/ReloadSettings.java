package io.egressproxy.settings;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.convert.DurationUnit;

/**
 * How changes take effect while the application runs.
 *
 * @param watch Whether the configuration files that hold proxy settings are watched and changes applied without a restart.
 * @param quietPeriod Time without a further change before a change is applied, in seconds if no unit is given.
 */
public record ReloadSettings(
        @DefaultValue("false") boolean watch,
        @DefaultValue("2s") @DurationUnit(ChronoUnit.SECONDS) Duration quietPeriod) {

    static final ReloadSettings DEFAULTS = new ReloadSettings(false, Duration.ofSeconds(2));
}
