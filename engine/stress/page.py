def html(report):
    return ""
