# before_after is left out: it imports cv2 and mmdet.
from .figures import draw_heatmap, draw_norms
from .group_report import group_table, report_groups, write_report
from .group_text import conclusion, render_request
from .groups import analyze_groups
from .summary import read_requests, render_summary, write_summary

__all__ = [
    'analyze_groups', 'conclusion', 'draw_heatmap', 'draw_norms',
    'group_table', 'read_requests', 'render_request', 'render_summary',
    'report_groups', 'write_report', 'write_summary'
]
