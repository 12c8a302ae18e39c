"""The renderer's GLSL programs."""

VERTEX = """
#version 330
uniform mat4 clip_from_camera;
in vec3 position;
in vec3 normal;
in vec2 uv;
in float wet;
out vec3 v_position;
out vec3 v_normal;
out vec2 v_uv;
out float v_wet;
void main() {
    v_position = position;
    v_normal = normal;
    v_uv = uv;
    v_wet = wet;
    gl_Position = clip_from_camera * vec4(position, 1.0);
}
"""

# Light wraps around skin farther in red than in blue, as it does when it scatters inside.
FRAGMENT = """
#version 330
const int LAMPS = 3;
uniform vec3 lamp_direction[LAMPS];
uniform vec3 lamp_color[LAMPS];
uniform vec3 ambient[4];
uniform vec3 tint;
uniform float gloss;
uniform float opacity;
uniform float ragged;
uniform sampler2D image;
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
in float v_wet;
out vec4 fragment;
void main() {
    vec4 texel = texture(image, v_uv);
    if (ragged > 0.0 && texel.a + v_wet < ragged) discard;
    vec3 n = normalize(v_normal);
    vec3 view = normalize(-v_position);
    if (dot(n, view) < 0.0 && !gl_FrontFacing) n = -n;
    vec3 base = pow(texel.rgb, vec3(2.2));
    base *= ragged > 0.0 ? tint : mix(vec3(1.0), tint, texel.a);
    vec3 light = max(ambient[0] + ambient[1] * n.x + ambient[2] * n.y + ambient[3] * n.z, vec3(0.02));
    vec3 shine = vec3(0.0);
    vec3 wrap = vec3(0.30, 0.18, 0.14);
    float power = mix(14.0, 90.0, v_wet);
    for (int i = 0; i < LAMPS; ++i) {
        light += lamp_color[i] * max(vec3(0.0), (dot(n, lamp_direction[i]) + wrap) / (1.0 + wrap));
        float lobe = max(0.0, dot(n, normalize(lamp_direction[i] + view)));
        shine += lamp_color[i] * pow(lobe, power);
    }
    vec3 color = base * light + shine * gloss * v_wet;
    fragment = vec4(pow(clamp(color, 0.0, 1.0), vec3(1.0 / 2.2)), opacity);
}
"""

DEPTH_FRAGMENT = """
#version 330
uniform float ragged;
in float v_wet;
void main() {
    if (ragged > 0.0 && v_wet + 0.5 < ragged) discard;
}
"""

BACKDROP_VERTEX = """
#version 330
in vec2 corner;
out vec2 v_uv;
void main() {
    v_uv = 0.5 * corner + 0.5;
    gl_Position = vec4(corner, 0.0, 1.0);
}
"""

BACKDROP_FRAGMENT = """
#version 330
uniform sampler2D image;
in vec2 v_uv;
out vec4 fragment;
void main() { fragment = vec4(texture(image, v_uv).rgb, 0.0); }
"""
