package io.egressproxy.settings;

import org.jspecify.annotations.Nullable;

/**
 * One thing that is wrong with the settings.
 *
 * @param property the property, for example {@code proxy.default.http.url}
 * @param message what is wrong and what to write instead; shows no secret
 * @param origin where the property was set (file and line, environment variable), or null if that is not known
 */
public record SettingsProblem(String property, String message, @Nullable String origin) {
    @Override
    public String toString() {
        return property + " " + message + (origin == null ? "" : " (" + origin + ")");
    }
}
